"""How long a provider waits for the answer to a callback, and which failures it retries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Time-outs and retries of one callback. Durations are in seconds."""

    connect_timeout: float
    read_timeout: float
    total_timeout: float  # for all tries together
    backoffs: tuple[float, ...]  # before each retry
    retry_on: frozenset[str]  # kinds of failure
    verify_certificate: bool = True
