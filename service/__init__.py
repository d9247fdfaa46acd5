"""Waybill's application: sends SMS and knows what became of each message.

The rooms, from the inside out:

* ``domain``     the rules: the statuses and their order, the join. Pure, standard library only.
* ``providers``  one folder per carrier: its wire, its words, its signature.
* ``models``     the tables; ``store`` the named queries on them, which never commit.
* ``flows``      accept, deliver, record, reconcile: one transaction per function.
* ``metrics``    what is counted; ``presence`` which processes are alive.
* ``inbox``      the durable buffer of accepted callbacks; ``straight`` the short way to it.
* ``queue``      the contract with the worker: its tasks by name, and how to wake one.
* ``shelf``      values that replicas share for a while; ``presence`` which of them are alive.
* ``journal``    the events that matter; ``logs``, ``sentry`` and ``tracing`` carry them out.
* ``web``        the only room that knows HTTP requests; ``commands`` the same for a terminal.
* ``app``        puts the parts together; ``config`` is the only reader of the environment.
"""

import sys

# redis imports OpenTelemetry wherever it is installed, for metrics of its own that are not used
# here, and does without it where the import fails. Ours is imported where traces are asked for.
if "redis" not in sys.modules and "opentelemetry" not in sys.modules:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]
    try:
        import redis  # noqa: F401
    finally:
        del sys.modules["opentelemetry"]
