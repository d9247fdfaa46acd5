"""A simulated SMS provider with faults: Twilio's Messages API and Sinch's batches API.

It imports nothing of Waybill and keeps its own records, so that a test can compare the two.

For every provider:

* ``config``          every option, with its default.
* ``accounts``        accounts and credentials, from the options or a file.
* ``seeded_random``   random numbers: the same seed gives the same run.
* ``faults``          which faults exist, and how often they occur.
* ``outages``         outages by schedule; ``outage`` is one, ``outage_fields`` parses it.
* ``outcomes``        the final status of a message.
* ``message``         one message, its statuses and its callbacks.
* ``records``         all messages, and the totals.
* ``account_records`` the requests of each account, and the refused create requests.
* ``create_handler``  handles a create request, or injects a fault.
* ``lifecycle``       moves each message through its statuses, named as Twilio names them.
* ``queue_time``      how long messages stay in the queue, and when they expire there.
* ``callbacks``       sends status callbacks and inbound messages, with retries and faults;
  ``callback_event`` is one of them.
* ``tasks``           running background work: the simulator is idle when there is none.
* ``provider_format`` what differs between providers; ``retry_policy`` is a part of it.

Twilio:

* ``api``             the Messages resource over HTTP; ``listing`` its filters and pages.
* ``validation``      parses a create request, with ``addresses``, ``form`` and ``magic_numbers``.
* ``error_codes``     Twilio's error codes; ``segments`` counts SMS segments.
* ``resource``        a message as JSON; ``callback_form`` the form of a callback.
* ``signature``       X-Twilio-Signature; ``overrides`` the retry rules in a callback URL.
* ``twilio_format``   SIDs and signed callbacks.

Sinch: ``sinch``. Persons who write: ``inbound``.

Running it:

* ``control``         the control API under ``/_simulator``: faults and records, with
  ``outages_control``, ``accounts_control`` and ``control_json``. docs/simulator.md describes it.
* ``server``          composes and serves the application; ``running`` does so in a thread.
"""
