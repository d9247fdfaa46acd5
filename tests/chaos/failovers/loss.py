"""What the inbox loses with its master: many callbacks, no worker that takes them.

A run of the whole system acknowledges few callbacks in the last milliseconds of a master. Here four
threads post signed callbacks all the time, and every acknowledged one must be in the stream of the
new master or in the table `overflow`.
"""

import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.chaos.claims import Claim, Result
from tests.chaos.failovers.callbacks import in_overflow, in_stream, make_app, posting
from tests.chaos.failovers.events import master_killed
from tests.chaos.failovers.installations import patient_sentinels
from tests.chaos.failovers.meters import longest_pause
from tests.cluster.sentinel import SentinelStand

_BEFORE: Final = 1.0  # seconds of traffic before each failover, and after it
_READY: Final = 60.0


class Loss(NamedTuple):
    """What some failovers cost. Lists have one value for each; `at_kill` one more, of the end."""

    acknowledged: int
    at_kill: list[int]  # acknowledged by the killed master, and missing
    later: list[int]  # acknowledged between the failover and the return of the server, and missing
    replaced: list[bool]  # Sentinel also replaced the new master, which was too slow to answer
    overflow: int
    doubles: int  # of these also in the stream
    pauses: list[float]  # the longest time without an acknowledged callback

    @property
    def missing(self) -> int:
        """Return how many callbacks were lost in failovers after a kill."""
        pairs = zip(self.later, self.replaced, strict=True)
        return sum(self.at_kill) + sum(lost for lost, replaced in pairs if not replaced)


class _Failover(NamedTuple):
    killed_at: float
    replaced_at: float
    ended_at: float
    again: bool


def run(replicas: int, failovers: int) -> Result:
    """Kill the master of a new stand so many times and judge; `replicas` is INBOX_REPLICAS."""
    start, directory = time.monotonic(), Path(tempfile.mkdtemp(prefix="chaos-"))
    with patient_sentinels(directory / "sentinel") as stand:
        loss = measure(stand, directory, replicas=replicas, failovers=failovers)
    return Result([*judge(loss, replicas)], Counter(), "", time.monotonic() - start)


def measure(stand: SentinelStand, directory: Path, *, replicas: int, failovers: int) -> Loss:
    """Kill the master so many times under traffic; `replicas` is INBOX_REPLICAS."""
    app = make_app(stand.url, directory, replicas)
    with posting(app) as acknowledged:
        done = [_fail_over(stand) for _ in range(failovers)]
        time.sleep(_BEFORE)
    with stand.client() as redis:
        stream = in_stream(redis)
    overflow = in_overflow(app)
    moments = [moment for each in done for moment in (each.replaced_at, each.ended_at)]
    missing = acknowledged.keys() - stream - overflow
    lost = Counter(bisect(moments, acknowledged[key]) for key in missing)
    times = sorted(acknowledged.values())
    return Loss(
        acknowledged=len(acknowledged),
        at_kill=[lost[2 * number] for number in range(failovers + 1)],
        later=[lost[2 * number + 1] for number in range(failovers)],
        replaced=[each.again for each in done],
        overflow=len(overflow),
        doubles=len(stream & overflow),
        pauses=[longest_pause(times, each.killed_at, each.ended_at) for each in done],
    )


def _fail_over(stand: SentinelStand) -> _Failover:
    time.sleep(_BEFORE)
    old = stand.master
    with master_killed(stand) as killed_at:
        stand.await_failover(old, _READY)
        new, replaced_at = stand.master, time.monotonic()
        time.sleep(_BEFORE)
    return _Failover(killed_at, replaced_at, time.monotonic(), stand.master is not new)


def judge(loss: Loss, replicas: int) -> Iterator[Claim]:
    """Yield the claims; without INBOX_REPLICAS the number of lost callbacks is only shown."""
    name = f"acknowledged and missing, INBOX_REPLICAS={replicas}"
    yield Claim("failovers", f"{len(loss.pauses):,}")
    yield Claim("callbacks acknowledged", f"{loss.acknowledged:,}", loss.acknowledged > 0)
    yield Claim(name, f"{loss.missing:,}", loss.missing == 0 if replicas else None)
    yield Claim("failovers that Sentinel ordered without a kill", f"{sum(loss.replaced):,}")
    yield Claim("callbacks in the overflow", f"{loss.overflow:,}")
    yield Claim("of these also in the inbox", f"{loss.doubles:,}")
    longest = f"{median(loss.pauses):.1f}, {max(loss.pauses):.1f}"
    yield Claim("seconds without an acknowledged callback, median and longest", longest)
