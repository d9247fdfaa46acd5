"""Sinch's batches API for service plans and projects. A batch has one recipient.

* ``api``       batches, listing, cancellation and delivery reports over HTTP.
* ``access_tokens`` OAuth 2 tokens for the access keys of projects.
* ``orders``    parses a batch request with Sinch's checks.
* ``reports``   a message as a batch and as a delivery report; Sinch's statuses and codes.
* ``format``    batch ids, signed callbacks and their retries.
* ``inbounds``   inbound messages.
* ``signature`` x-sinch-webhook-signature.
"""
