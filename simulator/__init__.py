"""A carrier with faults: it speaks Twilio's Messages API and Sinch's batches API, and calls back.

It imports nothing of Waybill and keeps its own books, so that a test can compare two witnesses.

What any carrier needs:

* ``config``     every knob, with its default; ``dice`` the draws that make one seed one story.
* ``faults``     what may go wrong, and how often; ``fates`` how a message may end.
* ``message``    one message and what was told about it; ``books`` all of them, and the totals.
* ``callbacks``  delivers status callbacks, well or badly; ``tasks`` knows when all is quiet.
* ``carrier``    walks each message through its life; its words are Twilio's.
* ``creates``    takes an order, well or as a fault demands.
* ``wire``       what differs from carrier to carrier; ``patience`` how long one retries.

What is Twilio's wire:

* ``api``        the Messages resource over HTTP; ``listing`` its filters and pages.
* ``validation`` reads a create request; ``magic_numbers``, ``codes`` and ``segments`` help it.
* ``resource``   a message as JSON; ``callback_form`` the same as a callback body.
* ``signature``  X-Twilio-Signature; ``overrides`` the retry rules in a callback URL's fragment.
* ``twilio_wire`` puts these together.

What is Sinch's wire: ``sinch``.

What holds it together:

* ``control``    faults and books over HTTP, under ``/_simulator``.
* ``server``     composes and serves; ``running`` does so in a thread, for tests.
"""
