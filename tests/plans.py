"""Explain every statement that the service sends to PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from psycopg import Connection
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from service.database.schema import PARTITIONS

LARGE: Final = {
    *("message", "attempt", "status_event", "webhook_delivery"),
    *("inbound_message", "opt_out", "client_sender", "event"),
}
_ONE_PAGE: Final = 200  # rows: PostgreSQL reads a partition of a few pages whole
_VERBS: Final = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")


class Plan(NamedTuple):
    """One statement as it ran: rows of large tables that it read, rows returned or changed."""

    statement: str
    whole_tables: list[str]
    read: int
    returned: int
    blocks: int
    text: Any

    def __str__(self) -> str:
        counts = f"{self.read} rows and {self.blocks} blocks read for {self.returned}"
        return f"{counts}, whole tables: {self.whole_tables}: {self.statement}"


@contextmanager
def explained(engine: Engine, repeats: int = 3) -> Iterator[list[Plan]]:
    """Collect the plans of the statements of all threads; of equal texts explain `repeats`.

    An audit sends hundreds of equal statements.
    """
    plans: list[Plan] = []
    seen: dict[str, int] = {}

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen[statement] = seen.get(statement, 0) + 1
        verb = statement.lstrip("( \n").split(None, 1)[0].upper()
        if verb in _VERBS and seen[statement] <= repeats:
            driver = connection.connection.dbapi_connection
            plans.append(_plan(statement, _run(driver, statement, parameters)))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _run(driver: Connection[Any], statement: str, parameters: Any) -> dict[str, Any]:
    """Explain a statement and roll it back, also where it runs without a transaction."""
    with driver.cursor() as cursor:
        alone = driver.autocommit and driver.info.transaction_status == TransactionStatus.IDLE
        cursor.execute("BEGIN" if alone else "SAVEPOINT plan")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
        [[explanation]] = cursor.fetchall()
        cursor.execute("ROLLBACK" if alone else "ROLLBACK TO SAVEPOINT plan")
    plan: dict[str, Any] = explanation[0]["Plan"]
    return plan


def _plan(statement: str, top: dict[str, Any]) -> Plan:
    nodes = list(_nodes(top))
    scans = [node for node in nodes if _is_large(node.get("Relation Name")) or "Index Name" in node]
    scans = [node for node in scans if node["Node Type"].endswith("Scan")]
    # A table without rows, or a partition of one page, is read as a whole.
    scans = [node for node in scans if not _is_page(node)]
    whole = [
        node["Relation Name"] for node in scans if node["Node Type"] == "Seq Scan" and _rows(node)
    ]
    # Of an aggregate, the rows that are counted; of a change, the rows that are changed.
    shown = top
    while shown["Node Type"] in ("Aggregate", "ModifyTable", "Result") and shown.get("Plans"):
        shown = max(shown["Plans"], key=lambda node: float(node["Actual Rows"]))
    return Plan(
        " ".join(statement.split()),
        whole,
        sum(_rows(node) for node in scans if node["Node Type"] != "Bitmap Index Scan"),
        int(shown["Actual Rows"] * shown["Actual Loops"]),
        # A change also reads the places in every index where it writes.
        0 if _changes(nodes) else top["Shared Hit Blocks"] + top["Shared Read Blocks"],
        top,
    )


def _is_large(name: str | None) -> bool:
    return name in LARGE or str(name).startswith(PARTITIONS)


def _is_page(node: dict[str, Any]) -> bool:
    """Whether this scan reads a partition whole that has few rows, perhaps in every loop."""
    is_partition = str(node.get("Relation Name")).startswith(PARTITIONS)
    is_short = _rows(node) <= node["Actual Loops"] * _ONE_PAGE
    return node["Node Type"] == "Seq Scan" and is_partition and is_short


def _changes(nodes: Sequence[dict[str, Any]]) -> bool:
    return any(node["Node Type"] in ("ModifyTable", "LockRows") for node in nodes)


def _rows(node: dict[str, Any]) -> int:
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
