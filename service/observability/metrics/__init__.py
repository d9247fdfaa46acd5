"""Metrics for Prometheus, listed in docs/metrics.md.

* ``instruments``: every counter and histogram
* ``counting``: the functions that the service calls to count something
* ``exposition``: all metrics as text

The gauges read from the database and Redis are in ``service.operations.metric_readings``.
No label holds a phone number, an id or any other value that a client can choose.
"""
