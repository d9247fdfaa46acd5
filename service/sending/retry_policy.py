"""How long to wait, and how often to try: a carrier gets days, the author of a test has seconds."""

from datetime import timedelta
from typing import Final, NamedTuple

from service.components import components
from service.providers.sandbox import NAME as TEST


class RetryPolicy(NamedTuple):
    """The settings as they hold for one provider."""

    attempts: int  # how often a send that was not taken is tried
    first_lookup: float  # seconds until a send without an answer is looked up
    ask_after: timedelta  # without a final status
    horizon: timedelta  # after which asking stops


_ANY: Final = RetryPolicy(1_000, 3_600.0, timedelta.max, timedelta.max)
_TESTS: Final = RetryPolicy(3, 1.0, timedelta(seconds=5), timedelta(seconds=15))


def retry_policy(provider: str) -> RetryPolicy:
    """Return how patient to be with a provider: as the settings say, with tests no more than so."""
    settings, most = components().settings, _TESTS if provider == TEST else _ANY
    return RetryPolicy(
        min(most.attempts, settings.send_attempts),
        min(most.first_lookup, settings.doubt_first_lookup),
        min(most.ask_after, timedelta(seconds=settings.reconcile_after)),
        min(most.horizon, timedelta(seconds=settings.reconcile_horizon)),
    )
