"""Waybill's application: sends SMS and knows what became of each message.

The rooms, from the inside out:

* ``domain``     the rules: the statuses and their order, the join. Pure, standard library only.
* ``providers``  one folder per carrier: its wire, its words, its signature.
* ``models``     the tables; ``store`` the named queries on them, which never commit.
* ``flows``      accept, deliver, record, reconcile: one transaction per function.
* ``metrics``    what is counted; ``presence`` which processes are alive.
* ``inbox``      the durable buffer of accepted callbacks; ``redis_connections`` the way to it.
* ``queue``      the contract with the worker: its tasks by name, and how to wake one.
* ``shelf``      values that replicas share for a while; ``presence`` which of them are alive.
* ``journal``    the events that matter; ``logs``, ``sentry`` and ``tracing`` carry them out.
* ``web``        the only room that knows HTTP requests; ``commands`` the same for a terminal.
* ``app``        puts the parts together; ``config`` is the only reader of the environment.
"""

import sys
import warnings
from importlib import import_module

# Four libraries import another wherever it is installed, for what is not used here, and do without
# it where the import fails: redis for metrics of its own (ours is imported where traces are asked
# for), structlog and mako for code in colour, requests to guess an encoding (together 11 MB in
# every process). Only requests says so.
warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
_UNUSED = {
    "redis": "opentelemetry",
    "structlog": "rich",
    "mako.exceptions": "pygments",
    "requests": "charset_normalizer",
}
for _library, _extra in _UNUSED.items():
    if _library not in sys.modules and _extra not in sys.modules:
        sys.modules[_extra] = None  # type: ignore[assignment]
        try:
            import_module(_library)
        finally:
            del sys.modules[_extra]
