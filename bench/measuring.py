"""One run: everything in turn, on one PostgreSQL, each figure told as soon as it is known."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from statistics import median

from bench import callbacks, comparing, load, plan
from bench.candidates import Candidate
from bench.databases import Databases
from bench.draining import drain_rates
from bench.peers.running import Guide, TaskPerCallback
from bench.plan import Plan
from bench.posting import BATCH, accept_rates, send_rates
from bench.report import Row
from bench.rounds import Round, Void, Work, alternate, scratch
from bench.waybill import Waybill


class Measuring:
    """Collects rows, rounds and notes."""

    def __init__(self, given: Plan, missing: Mapping[str, str]) -> None:
        self.rows: list[Row] = []
        self.rounds: list[Round] = []
        self.notes: list[str] = []
        self._plan = given
        self._missing = missing

    def compare(self, databases: Databases) -> None:
        """Measure the candidates in turn."""
        with scratch() as directory:
            print("signing callbacks …", flush=True)
            messages, requests = callbacks.sent(self._plan.messages), directory / "callbacks"
            load.write(requests, map(callbacks.wire, callbacks.callbacks(messages)))
            work = Work(messages, requests, self._plan.seconds)
            for one in alternate(self._candidates(), databases, work, self._plan.rounds):
                self._heard(one)
        self.rows += comparing.rows(self.rounds)

    def drain(self, databases: Databases | None) -> None:
        """Measure one status worker; on SQLite without a PostgreSQL."""
        given = (self._plan.drained, self._plan.rounds)
        if databases is None:
            what = "drain of one process, SQLite"
            self._row(what, drain_rates(*given), plan.DRAIN_SQLITE)
            return
        with databases.fresh() as database:
            what = "drain of one process, PostgreSQL"
            self._row(what, drain_rates(*given, database), plan.DRAIN_POSTGRESQL)

    def send(self, databases: Databases) -> None:
        """Measure one send worker."""
        with databases.fresh() as database:
            rates = send_rates(database, self._plan.sent, self._plan.rounds)
            self._row("sends of one worker, carrier takes 100 ms", rates, plan.SENDS)

    def post(self, databases: Databases) -> None:
        """Measure what clients may post."""
        for what, batch, target in (
            (f"messages accepted, in batches of {BATCH}", BATCH, plan.BATCH),
            ("messages accepted, one by one", 1, None),
        ):
            with databases.fresh() as database:
                rates = accept_rates(database, self._plan.posting, self._plan.rounds, batch)
                self._row(what, rates, target)

    def _candidates(self) -> Sequence[Candidate]:
        guide = () if {"node", "npm"} & {*self._missing} else (Guide(),)
        return (Waybill(), *guide, TaskPerCallback())

    def _heard(self, one: Round | Void) -> None:
        if isinstance(one, Void):
            self._note(f"void: {one}")
            return
        self.rounds.append(one)
        rates = f"accepted {one.load.rate:,.0f}/s, applied {one.applied_rate:,.0f}/s"
        early = ", all callbacks used up early" if one.load.exhausted else ""
        print(f"  {one.candidate}: {rates}{early}", flush=True)

    def _row(self, what: str, rates: Iterable[float], target: float | None) -> None:
        print(f"{what} …", flush=True)
        try:
            known = []
            for rate in islice(rates, self._plan.rounds):
                known.append(rate)
                print(f"  {rate:,.0f}/s", flush=True)
        except Void as reason:
            self._note(f"void: {what}: {reason}")
        if known:
            self.rows.append(Row(what, median(known), target=target, rounds=known))

    def _note(self, note: str) -> None:
        self.notes.append(note)
        print(f"  {note}", flush=True)
