"""Persons who write to the customers of the providers: inbound messages.

* ``message``       one inbound message.
* ``records``       all inbound messages, and the totals.
* ``twilio``        inbound messages as Twilio sends and lists them; for Sinch `sinch.inbounds`.
* ``urls``          the webhook URLs, as set in the provider's console.
* ``persons``       takes what a person writes, and sends it to the webhook URL.
* ``magic_persons`` the numbers of persons who answer each message.
* ``blocks``        whom Twilio blocks after STOP.
* ``control``       the control API; ``control_fields`` parses what a person writes.
"""
