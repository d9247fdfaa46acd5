"""Sinch's wire: the batches of one service plan, one recipient each.

* ``api``       batches, listing, cancellation and delivery reports over HTTP.
* ``orders``    reads a batch request, refusing what Sinch refuses.
* ``reports``   a message as a batch and as a delivery report; Sinch's words and codes.
* ``wire``      ids, signed callbacks and their retries.
* ``signature`` x-sinch-webhook-signature.
"""
