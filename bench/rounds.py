"""The candidates in turn, each round on a fresh database, then the proof."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import load
from bench.callbacks import ABREAST, WORDS, Sent
from bench.candidates import Candidate, Serving
from bench.databases import Databases
from bench.load import Load

_PATIENCE: Final = 180.0
_TICK: Final = 0.05


class Void(Exception):
    """The round proves nothing; the message says why."""


class Round(NamedTuple):
    """What one round of one candidate came to."""

    candidate: str
    load: Load
    recorded: int
    applied_in: float  # seconds from the first callback until the backlog was empty
    burst: float  # the first so many seconds of it are a burst

    @property
    def applied_rate(self) -> float:
        """Return recorded callbacks a second, the backlog's end included."""
        return self.recorded / self.applied_in

    @property
    def burst_rate(self) -> float:
        """Return accepted callbacks a second, while it was a burst."""
        return self.load.early / self.burst


class Work(NamedTuple):
    """What every round is given."""

    messages: Sequence[Sent]
    requests: Path
    seconds: float
    burst: float

    def of(self, seconds: float) -> "Work":
        """Return as much of it as a shorter round needs."""
        share = len(self.messages) * seconds / self.seconds
        # In the file, too, the callbacks about the first of them come first.
        needed = max(1, int(share / ABREAST)) * ABREAST
        return self._replace(messages=self.messages[:needed], seconds=seconds)


def measure(candidate: Candidate, databases: Databases, work: Work) -> Round:
    """Run one round. Raises Void when the database does not hold what was accepted."""
    with (
        scratch() as directory,
        databases.fresh() as database,
        candidate.serving(directory, database, work.messages) as serving,
    ):
        return _round(candidate.name, serving, work)


def alternate(
    candidates: Sequence[Candidate], databases: Databases, work: Work, rounds: int
) -> Iterator[Round | Void]:
    """Yield the rounds of all candidates in turn; a void one is yielded as its reason."""
    turns = [candidate for _ in range(rounds) for candidate in candidates]
    for candidate in turns:
        try:
            yield measure(candidate, databases, work)
        except Void as reason:
            yield Void(f"{candidate.name}: {reason}")


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as name:
        yield Path(name)


def verify(seen: Load, recorded: int) -> None:
    """Raise Void unless the database holds exactly what was accepted, and all was accepted."""
    if seen.refused or seen.broken:
        raise Void(f"{seen.refused} callbacks were refused, {seen.broken} were never answered")
    if recorded != seen.accepted:
        raise Void(f"{seen.accepted} callbacks were accepted, {recorded} are recorded")


def _round(name: str, serving: Serving, work: Work) -> Round:
    samples: list[float] = []
    seen = load.run(
        serving.url,
        work.requests,
        work.seconds,
        early=work.burst,
        most=len(work.messages) * len(WORDS),
        meanwhile=lambda: samples.append(_empty_at(serving, work.seconds)),
    )
    if serving.backlog():
        raise Void(f"{serving.backlog()} callbacks still wait after {_PATIENCE:.0f} s")
    recorded = serving.recorded()
    verify(seen, recorded)
    return Round(name, seen, recorded, max(samples[0], seen.last) - seen.first, work.burst)


def _empty_at(serving: Serving, seconds: float) -> float:
    """Wait for the load to end, then for the backlog; return when it was empty."""
    time.sleep(seconds + 2 * _TICK)  # the last answers are in
    until = time.time() + _PATIENCE
    while serving.backlog() and time.time() < until:
        time.sleep(_TICK)
    return time.time()
