"""Runs rounds of the candidates, each with a new database, and verifies the result."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import load
from bench.callbacks import INTERLEAVED, STATUSES, SentMessage
from bench.candidates import Candidate, Serving
from bench.databases import Databases
from bench.load import Load

_TIMEOUT: Final = 180.0
_POLL_INTERVAL: Final = 0.05


class InvalidResult(Exception):
    """A result that must not count. The message gives the reason."""


class Round(NamedTuple):
    """Result of one round of one candidate."""

    candidate: str
    load: Load
    recorded: int
    recorded_in: float  # seconds from the first callback until the backlog was empty
    burst: float  # seconds at the beginning that count as a burst

    @property
    def recorded_rate(self) -> float:
        """Return recorded callbacks per second, until the backlog is empty."""
        return self.recorded / self.recorded_in

    @property
    def burst_rate(self) -> float:
        """Return accepted callbacks per second during the burst."""
        return self.load.early / self.burst


class Work(NamedTuple):
    """Prepared messages and requests of a round."""

    messages: Sequence[SentMessage]
    requests: Path
    seconds: float
    burst: float

    def shortened(self, seconds: float) -> "Work":
        """Return the first part, as much as a shorter round needs."""
        share = len(self.messages) * seconds / self.seconds
        # The requests file has the callbacks of these messages first.
        count = max(1, int(share / INTERLEAVED)) * INTERLEAVED
        return self._replace(messages=self.messages[:count], seconds=seconds)


def measure(candidate: Candidate, databases: Databases, work: Work) -> Round:
    """Run one round. Raises InvalidResult unless all accepted callbacks are recorded."""
    with (
        scratch() as directory,
        databases.fresh() as database,
        candidate.serving(directory, database, work.messages) as serving,
    ):
        return _round(candidate.name, serving, work)


def alternate(
    candidates: Sequence[Candidate], databases: Databases, work: Work, rounds: int
) -> Iterator[Round | InvalidResult]:
    """Yield the rounds of all candidates, alternating; an invalid round as its reason."""
    order = [candidate for _ in range(rounds) for candidate in candidates]
    for candidate in order:
        try:
            yield measure(candidate, databases, work)
        except InvalidResult as reason:
            yield InvalidResult(f"{candidate.name}: {reason}")


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as name:
        yield Path(name)


def verify(load: Load, recorded: int) -> None:
    """Raise InvalidResult unless all callbacks were accepted and recorded."""
    if load.rejected or load.failed:
        raise InvalidResult(f"{load.rejected} callbacks rejected, {load.failed} without an answer")
    if recorded != load.accepted:
        raise InvalidResult(f"{load.accepted} callbacks accepted, {recorded} recorded")


def _round(name: str, serving: Serving, work: Work) -> Round:
    samples: list[float] = []
    result = load.run(
        serving.url,
        work.requests,
        work.seconds,
        early=work.burst,
        max_requests=len(work.messages) * len(STATUSES),
        meanwhile=lambda: samples.append(_wait_until_empty(serving, work.seconds)),
    )
    if serving.backlog():
        raise InvalidResult(f"{serving.backlog()} callbacks not recorded after {_TIMEOUT:.0f} s")
    recorded = serving.recorded()
    verify(result, recorded)
    seconds = max(samples[0], result.last) - result.first
    return Round(name, result, recorded, seconds, work.burst)


def _wait_until_empty(serving: Serving, seconds: float) -> float:
    """Wait until the load has ended and the backlog is empty; return the time."""
    time.sleep(seconds + 2 * _POLL_INTERVAL)  # until the last answers
    deadline = time.time() + _TIMEOUT
    while serving.backlog() and time.time() < deadline:
        time.sleep(_POLL_INTERVAL)
    return time.time()
