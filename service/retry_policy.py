"""How long to try a provider, and how long to wait between tries."""

import random
from datetime import timedelta
from typing import Final, NamedTuple

from service.components import components
from service.providers.sandbox import SANDBOX

_LONGEST_BACKOFF: Final = 60.0
# A provider that asks for a longer pause is tried again after this: one wrong header must not hold
# messages for days.
_LONGEST_RETRY_AFTER: Final = 3600.0


class RetryPolicy(NamedTuple):
    """The settings as they hold for one provider."""

    patience: timedelta  # until a message without another deadline expires
    attempts: int  # most attempts with an unknown outcome, if the client allows several
    first_lookup: float  # seconds until a send without an answer is looked up
    ask_after: timedelta  # without a final status
    horizon: timedelta  # after which polling stops


_ANY: Final = RetryPolicy(timedelta.max, 20, 3_600.0, timedelta.max, timedelta.max)
_TESTS: Final = RetryPolicy(
    timedelta(seconds=15), 3, 1.0, timedelta(seconds=5), timedelta(seconds=15)
)


def retry_policy(provider: str) -> RetryPolicy:
    """Return the policy for a provider: the settings, with shorter limits for the sandbox."""
    settings, most = components().settings, _TESTS if provider == SANDBOX else _ANY
    return RetryPolicy(
        min(most.patience, timedelta(seconds=settings.send_patience)),
        most.attempts,
        min(most.first_lookup, settings.doubt_first_lookup),
        min(most.ask_after, timedelta(seconds=settings.reconcile_after)),
        min(most.horizon, timedelta(seconds=settings.reconcile_horizon)),
    )


def patience(provider: str, validity_period: int | None) -> timedelta:
    """Return how long a message may wait that names no time at which it expires."""
    if validity_period is not None:
        return timedelta(seconds=validity_period)
    return retry_policy(provider).patience


def backoff(tries: int, retry_after: float | None = None) -> timedelta:
    """Return the pause after so many tries: doubling from 1 s to 60 s, with jitter.

    It is added to the time that the provider asked for in Retry-After, up to an hour.
    """
    longest = min(_LONGEST_BACKOFF, 2.0 ** min(tries - 1, 10))
    asked_for = min(retry_after or 0.0, _LONGEST_RETRY_AFTER)
    return timedelta(seconds=asked_for + random.uniform(longest / 2, longest))
