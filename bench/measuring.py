"""One run: everything in turn, on one PostgreSQL, each figure told as soon as it is known."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from statistics import median
from typing import Final

from bench import comparing, plan, posting
from bench.databases import Databases
from bench.draining import drain_rates, standing
from bench.growing import growth
from bench.outage import outage
from bench.plan import Plan
from bench.report import Row
from bench.rounds import Round, Void, scratch
from bench.stages import stages
from bench.watched import watched


class Measuring:
    """Collects rows, rounds and notes."""

    def __init__(self, given: Plan, missing: Mapping[str, str]) -> None:
        self.rows: list[Row] = []
        self.rounds: dict[str, list[Round]] = {"sustained": [], "burst": []}
        self.notes: list[str] = []
        self._plan = given
        self._missing = missing

    def callbacks(self, databases: Databases) -> Iterator[Row]:
        """Measure the candidates in turn: for long, then in bursts."""
        given = self._plan
        with scratch() as directory:
            work = comparing.work(directory, given.sustained, given.burst)
            for one in comparing.long_rounds(databases, work, self._missing):
                self._heard(one, "sustained", "burst")
            for one in comparing.round_of_tasks(databases, work):
                self._heard(one, "sustained")
            for one in comparing.bursts(databases, work, self._missing, given.rounds - 1):
                self._heard(one, "burst")
        yield from comparing.sustained_rows(self.rounds["sustained"])
        yield from comparing.burst_rows(self.rounds["burst"])

    def steady(self, databases: Databases) -> Iterator[Row]:
        """Measure answers, visibility and memory at a thousand callbacks a second."""
        yield from comparing.steady_rows(databases, self._plan.steady, self._missing)

    def outage(self, databases: Databases) -> Iterator[Row]:
        """Measure what an outage of the database does under the steady load."""
        seen = outage(databases, self._plan.outage)
        lasted = f"PostgreSQL stopped for {self._plan.outage:.0f} s at 1,000/s"
        yield Row(f"{lasted}: answers other than 2xx", seen.refused, "", 0, at_most=True)
        yield Row(
            f"{lasted}: made good in", seen.made_good_in, "s", plan.MADE_GOOD_SECONDS, at_most=True
        )

    def drain(self, databases: Databases | None) -> Iterator[Row]:
        """Measure one status worker, then two; on SQLite, without a PostgreSQL, one."""
        count, rounds = self._plan.drained, self._plan.rounds
        if databases is None:
            [rates] = drain_rates(count, rounds)
            yield _row("drain of one process, SQLite", rates, plan.DRAIN_SQLITE)
            return
        with databases.fresh() as database:
            one, two = drain_rates(count, rounds, database, 2)
        yield _row("drain of one process, PostgreSQL", one, plan.DRAIN_POSTGRESQL)
        ratio = median(two) / median(one)
        yield Row("drain of two processes, times one", ratio, "x", plan.REPLICAS)

    def stages(self, databases: Databases) -> Iterator[Row]:
        """Measure where the time of a callback goes."""
        with (
            databases.fresh() as database,
            scratch() as directory,
            standing(directory, database) as serving,
        ):
            yield from stages(serving, self._plan.drained // 3)

    def ledger(self, databases: Databases) -> Iterator[Row]:
        """Measure what a callback costs beside a long history."""
        with (
            databases.fresh() as database,
            scratch() as directory,
            standing(directory, database) as serving,
        ):
            large, drained = self._plan.ledger, self._plan.drained // 2
            grown = growth(serving, plan.SMALL_LEDGER, large, drained)
        what = f"cost with {self._plan.ledger:,} events, times that with {plan.SMALL_LEDGER:,}"
        yield Row(what, grown, "x", plan.GROWTH, at_most=True)

    def send(self, databases: Databases) -> Iterator[Row]:
        """Measure one send worker, and one as Celery starts it by default."""
        with databases.fresh() as database:
            sent, rounds = self._plan.sent, self._plan.rounds
            rates = list(islice(posting.send_rates(database, sent, rounds), rounds))
        yield _row("sends of one worker, carrier takes 100 ms", rates, plan.SENDS)
        with databases.fresh() as database:
            [prefork] = posting.send_rates(database, plan.PREFORK_SENT, 1, posting.PREFORK)
        yield Row("sends of a worker with two prefork processes", prefork)
        ratio = median(rates) / prefork
        yield Row("sends, times prefork", ratio, "x", plan.OVER_PREFORK)

    def post(self, databases: Databases) -> Iterator[Row]:
        """Measure what clients may post, in batches and one by one."""
        seconds, rounds = self._plan.posting, self._plan.rounds
        with databases.fresh() as database, databases.fresh() as another:
            ours = posting.accept_rates(database, seconds, rounds, (1, posting.BATCH))
            theirs = posting.plain_rates(another, seconds, rounds)
            in_turn = list(zip(theirs, ours, strict=False))  # until theirs are over
            batches = list(ours)
        plain, singles = ([*rates] for rates in zip(*in_turn, strict=True))
        yield _row(f"messages accepted, in batches of {posting.BATCH}", batches, plan.BATCH)
        yield _row("messages accepted, one by one", singles)
        yield _row("messages accepted by a plain view", plain)
        ratio = median(singles) / median(plain)
        yield Row("one by one, times a plain view", ratio, "x", plan.OVER_PLAIN_VIEW)

    def watched(self, databases: Databases) -> Iterator[Row]:
        """Measure what being looked at takes beside the steady load."""
        for path, slowest in watched(databases, self._plan.watched).items():
            what = f"slowest answer of {path} at 1,000/s"
            yield Row(what, slowest, "ms", plan.WATCHED_MS, at_most=True)

    def take(self, part: Callable[..., Iterable[Row]], databases: Databases | None) -> None:
        """Run one part; what voids it is noted, and the others go on."""
        print(f"{part.__name__} …", flush=True)
        began = time.monotonic()
        try:
            for row in part(databases):
                self.rows.append(row)
                print(f"  {row.said}", flush=True)
        except Void as reason:
            self._note(f"void: {part.__name__}: {reason}")
        print(f"  in {time.monotonic() - began:.0f} s", flush=True)

    def _heard(self, one: Round | Void, *kinds: str) -> None:
        if isinstance(one, Void):
            self._note(f"void: {one}")
            return
        for kind in kinds:
            self.rounds[kind].append(one)
        rates = f"accepted {one.load.rate:,.0f}/s, applied {one.applied_rate:,.0f}/s"
        early = ", all callbacks used up early" if one.load.exhausted else ""
        print(f"  {one.candidate}: {rates}{early}", flush=True)

    def _note(self, note: str) -> None:
        self.notes.append(note)
        print(f"  {note}", flush=True)


PARTS: Final = (
    *("callbacks", "steady", "outage", "drain", "stages", "ledger"),
    *("send", "post", "watched"),
)
NEED_WRK: Final = frozenset({"callbacks", "post"})


def _row(what: str, rates: list[float], target: float | None = None) -> Row:
    return Row(what, median(rates), target=target, rounds=rates)
