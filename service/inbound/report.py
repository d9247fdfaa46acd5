"""Counts and logs inbound messages that were committed."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from service.domain.keywords import Keyword
from service.observability import events
from service.observability.metrics import counting


def report(rows: Sequence[Mapping[str, Any]], new: Collection[UUID]) -> None:
    """Count and log a batch: `new` are the ids of the rows that were not known before."""
    recorded = [row for row in rows if row["id"] in new]
    for row in recorded:
        owned = row["client_id"] is not None
        counting.inbound_recorded(row["provider"], row["keyword"], owned=owned)
    keywords = Counter(row["keyword"] for row in recorded)
    events.inbound_recorded(
        [row["id"] for row in recorded],
        messages=len(recorded),
        repeats=len(rows) - len(recorded),
        stops=keywords[Keyword.STOP],
        starts=keywords[Keyword.START],
        unowned=sum(row["client_id"] is None for row in recorded),
    )
