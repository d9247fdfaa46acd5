"""Runs all parts one after another on one PostgreSQL, and prints each result."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from bench import comparison, drains, inbox_cost, recording_cost, shares, throughput
from bench import plan as targets
from bench.databases import Databases
from bench.drain import drain_rates, running_stack
from bench.ledger_growth import cost_ratio
from bench.ops_latency import slowest_answers
from bench.outage import outage
from bench.plan import Plan
from bench.report import Row
from bench.rounds import InvalidResult, Round, scratch
from bench.stages import stages
from bench.webhooks import delivery_rates

INVALID: Final = "invalid"


class Benchmark:
    """The parts of the benchmark, and their results."""

    def __init__(self, plan: Plan, missing: Mapping[str, str], base: Path | None = None) -> None:
        self.rows: list[Row] = []
        self.rounds: dict[str, list[Round]] = {"sustained": [], "burst": []}
        self.notes: list[str] = []
        self.plan = plan
        self._missing = missing
        self._base = base

    def callbacks(self, databases: Databases) -> Iterator[Row]:
        """Compare the candidates: sustained load, then bursts."""
        plan = self.plan
        with scratch() as directory:
            work = comparison.prepare(directory, plan.sustained, plan.burst)
            for result in comparison.long_rounds(databases, work, self._missing):
                self._add(result, "sustained", "burst")
            for result in comparison.short_task_round(databases, work):
                self._add(result, "sustained")
            for result in comparison.bursts(databases, work, self._missing, plan.rounds - 1):
                self._add(result, "burst")
        yield from comparison.sustained_rows(self.rounds["sustained"])
        yield from comparison.burst_rows(self.rounds["burst"])

    def steady(self, databases: Databases) -> Iterator[Row]:
        """Measure latency, visibility and memory at 1,000 callbacks/s."""
        yield from comparison.steady_rows(databases, self.plan.steady, self._missing)

    def outage(self, databases: Databases) -> Iterator[Row]:
        """Measure an outage of the database at 1,000 callbacks/s."""
        result = outage(databases, self.plan.outage)
        name = f"PostgreSQL stopped for {self.plan.outage:.0f} s at 1,000/s"
        yield Row(f"{name}: answers other than 2xx", result.rejected, "", 0, at_most=True)
        limit = targets.RECOVERY_SECONDS
        yield Row(f"{name}: backlog recorded in", result.recovered_in, "s", limit, at_most=True)

    def drain(self, databases: Databases | None) -> Iterator[Row]:
        """Measure one status worker, and on PostgreSQL also two."""
        count, rounds = self.plan.drained, self.plan.rounds
        if databases is None:
            [rates] = drain_rates(count, rounds)
            yield _row("drain, 1 status worker, SQLite", rates, targets.DRAIN_SQLITE)
            return
        with databases.fresh() as database:
            one, two = drain_rates(count, rounds, database, (1, 2))
        yield _row("drain, 1 status worker, PostgreSQL", one, targets.DRAIN_POSTGRESQL)
        ratio = median(two) / median(one)
        yield Row("drain, 2 status workers / 1", ratio, "x", targets.REPLICAS)

    def stages(self, databases: Databases) -> Iterator[Row]:
        """Measure the stages of one callback."""
        with (
            databases.fresh() as database,
            scratch() as directory,
            running_stack(directory, database) as serving,
        ):
            yield from stages(serving, self.plan.drained // 3)

    def ledger(self, databases: Databases) -> Iterator[Row]:
        """Measure the cost of a callback with a large ledger."""
        with (
            databases.fresh() as database,
            scratch() as directory,
            running_stack(directory, database) as serving,
        ):
            large, drained = self.plan.ledger, self.plan.drained // 2
            ratio = cost_ratio(serving, targets.SMALL_LEDGER, large, drained)
        name = f"cost of a callback, ledger of {large:,} events / {targets.SMALL_LEDGER:,}"
        yield Row(name, ratio, "x", targets.GROWTH, at_most=True)

    def send(self, databases: Databases) -> Iterator[Row]:
        """Measure one send worker, and one with Celery's prefork pool."""
        with databases.fresh() as database:
            sent, rounds = self.plan.sent, self.plan.rounds
            rates = list(islice(throughput.send_rates(database, sent, rounds), rounds))
        yield _row("sends, 1 worker, provider answers in 100 ms", rates, targets.SENDS)
        with databases.fresh() as database:
            [prefork] = throughput.send_rates(database, targets.PREFORK_SENT, 1, throughput.PREFORK)
        yield Row("sends, 1 worker with 2 prefork processes", prefork)
        ratio = median(rates) / prefork
        yield Row("sends, Waybill / prefork", ratio, "x", targets.OVER_PREFORK)

    def post(self, databases: Databases) -> Iterator[Row]:
        """Measure accepted messages, in batches and as single posts."""
        seconds, rounds = self.plan.posting, self.plan.rounds
        with databases.fresh() as database, databases.fresh() as another:
            waybill = throughput.accept_rates(database, seconds, rounds, (1, throughput.BATCH))
            plain_view = throughput.plain_rates(another, seconds, rounds)
            alternating = list(zip(plain_view, waybill, strict=False))
            batches = list(waybill)
        plain, singles = ([*rates] for rates in zip(*alternating, strict=True))
        yield _row(f"messages accepted, batches of {throughput.BATCH:,}", batches, targets.BATCH)
        yield _row("messages accepted, single posts", singles)
        yield _row("messages accepted, plain view", plain)
        ratio = median(singles) / median(plain)
        yield Row("single posts, Waybill / plain view", ratio, "x", targets.OVER_PLAIN_VIEW)

    def watched(self, databases: Databases) -> Iterator[Row]:
        """Measure /ops and /metrics at 1,000 callbacks/s."""
        for path, slowest in slowest_answers(databases, self.plan.watched).items():
            name = f"slowest answer of {path} at 1,000/s"
            yield Row(name, slowest, "ms", targets.OPS_MS, at_most=True)

    def webhooks(self, databases: Databases) -> Iterator[Row]:
        """Measure one webhook worker, with receivers that answer in 50 ms."""
        for endpoints, share in ((1, 5), (10, 1), (100, 1)):
            count, rounds = self.plan.delivered // share, self.plan.rounds
            results = list(delivery_rates(databases, endpoints, count, rounds))
            name = f"webhooks, 1 worker, {endpoints} endpoint{'s'[: endpoints - 1]}"
            yield _row(f"{name} that answer in 50 ms", [each.per_second for each in results])
            for process, times in (
                ("worker", [each.worker_ms for each in results]),
                ("PostgreSQL", [each.postgresql_ms for each in results]),
            ):
                yield Row(f"{name}: CPU time of the {process}", median(times), "ms", rounds=times)

    def record(self, databases: Databases) -> Iterator[Row]:
        """Measure what events and webhooks cost a callback, against the code before them."""
        yield from recording_cost.rows(
            databases, self._base, self.plan.recorded, self.plan.compared
        )

    def inbox(self, databases: Databases) -> Iterator[Row]:
        """Measure what a callback costs with one stream and with 16, against earlier code."""
        yield from inbox_cost.rows(
            databases, self._base, self.plan.drained // 4, self.plan.compared
        )

    def drains(self, databases: Databases) -> Iterator[Row]:
        """Measure drains of 16 streams on a cluster by 1, 2 and 4 status workers."""
        yield from drains.rows(databases, self.plan.drained, self.plan.rounds)

    def shares(self, _databases: Databases) -> Iterator[Row]:
        """Simulate 16 streams and 8 consumers."""
        yield from shares.rows(self.plan.simulated)

    def take(self, part: Callable[..., Iterable[Row]], databases: Databases | None) -> None:
        """Run one part. An invalid result is noted, and the next part runs."""
        print(f"{part.__name__}:", flush=True)
        start = time.monotonic()
        try:
            for row in part(databases):
                self.rows.append(row)
                print(f"  {row.text}", flush=True)
        except InvalidResult as reason:
            self._note(f"{INVALID}: {part.__name__}: {reason}")
        print(f"  finished in {time.monotonic() - start:.0f} s", flush=True)

    def _add(self, result: Round | InvalidResult, *kinds: str) -> None:
        if isinstance(result, InvalidResult):
            self._note(f"{INVALID}: {result}")
            return
        for kind in kinds:
            self.rounds[kind].append(result)
        rates = f"{result.load.rate:,.0f}/s accepted, {result.recorded_rate:,.0f}/s recorded"
        early = "; all prepared callbacks were sent early" if result.load.exhausted else ""
        print(f"  {result.candidate}: {rates}{early}", flush=True)

    def _note(self, note: str) -> None:
        self.notes.append(note)
        print(f"  {note}", flush=True)


PARTS: Final = (
    *("callbacks", "steady", "outage", "drain", "stages", "ledger"),
    *("send", "post", "watched", "webhooks", "record", "inbox", "drains", "shares"),
)
NEED_WRK: Final = frozenset({"callbacks", "post"})


def _row(name: str, rates: list[float], target: float | None = None) -> Row:
    return Row(name, median(rates), target=target, rounds=rates)
