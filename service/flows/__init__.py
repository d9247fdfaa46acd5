"""What Waybill does: accept, deliver, record, reconcile. One transaction per function.

No flow knows of HTTP requests or of Celery, and none holds a connection during a network call.
"""
