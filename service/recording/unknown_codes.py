"""Count and log error codes that our tables do not explain."""

from collections.abc import Iterable
from functools import lru_cache

from service.components import components
from service.domain.report import StatusReport
from service.observability import events
from service.observability.metrics import counting


def note_unknown_codes(reports: Iterable[StatusReport]) -> None:
    """Count each report with an unknown error code; log each code once in a process.

    The metric has no label for the code: a provider may send any number of them. A transaction that
    is repeated counts twice, which is harmless for an alert on the first one.
    """
    for report in reports:
        code = report.error_code
        if code is not None and not components().explain(report.provider, code).listed:
            counting.unknown_code(report.provider)
            _log_once(report.provider, code)


# A network operator may send the same code many times a second.
@lru_cache(maxsize=1_000)
def _log_once(provider: str, code: str) -> None:
    events.unknown_code(provider, code)
