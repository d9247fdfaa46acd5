"""Named queries. They never commit: the flow that calls them owns the transaction.

``messages`` and ``attempts`` for sending, ``ledger`` for recording, ``listing`` for readers,
``clients`` for keys, ``checks`` for reconciliation, ``aside`` for callbacks outside the inbox;
``overview``, ``searching`` and ``operators`` for the pages of operators.
"""
