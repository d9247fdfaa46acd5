"""A simulated SMS provider with faults: Twilio's Messages API and Sinch's batches API.

It imports nothing of Waybill and keeps its own records, so that a test can compare the two.

For every provider:

* ``config``          every option, with its default.
* ``seeded_random``   random numbers: the same seed gives the same run.
* ``faults``          which faults exist, and how often they occur.
* ``outcomes``        the final status of a message.
* ``message``         one message, its statuses and its callbacks.
* ``records``         all messages, and the totals.
* ``create_handler``  handles a create request, or injects a fault.
* ``lifecycle``       moves each message through its statuses, named as Twilio names them.
* ``callbacks``       sends status callbacks, with retries and faults.
* ``tasks``           running background work: the simulator is idle when there is none.
* ``provider_format`` what differs between providers; ``retry_policy`` is a part of it.

Twilio:

* ``api``             the Messages resource over HTTP; ``listing`` its filters and pages.
* ``validation``      parses a create request, with ``addresses``, ``form`` and ``magic_numbers``.
* ``error_codes``     Twilio's error codes; ``segments`` counts SMS segments.
* ``resource``        a message as JSON; ``callback_form`` the form of a callback.
* ``signature``       X-Twilio-Signature; ``overrides`` the retry rules in a callback URL.
* ``twilio_format``   SIDs and signed callbacks.

Sinch: ``sinch``.

Running it:

* ``control``         the control API under ``/_simulator``: faults and records.
* ``server``          composes and serves the application; ``running`` does so in a thread.
"""
