"""Hypothesis strategies: many reports about few messages, so that they collide."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st

from service.domain.report import Price, Source, StatusReport
from service.domain.status import Status
from service.providers.sinch.reports import STATUSES as SINCH_STATUSES
from service.providers.twilio.reports import STATUSES as TWILIO_STATUSES

EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
# The statuses of both providers, an unknown one and an empty one. Sinch's begin with a capital
# letter here, to distinguish them from Twilio's.
STATUSES = {**TWILIO_STATUSES, **{word.title(): status for word, status in SINCH_STATUSES.items()}}
WORDS = [*STATUSES, "partially_delivered", ""]

_T = TypeVar("_T")
moments = st.integers(0, 50).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
prices = st.none() | st.builds(
    Price, st.sampled_from([Decimal("-0.0079"), Decimal("-0.0158"), Decimal(0)]), st.just("USD")
)


@st.composite
def statements(draw: st.DrawFn, attempt_ids: Sequence[UUID | None]) -> StatusReport:
    """Draw one report about one of these attempts."""
    word = draw(st.sampled_from(WORDS))
    attempt = draw(st.sampled_from(attempt_ids))
    at = draw(moments)
    return StatusReport(
        provider="sinch" if word.istitle() else "twilio",
        source=draw(st.sampled_from([Source.API, Source.CALLBACK, Source.RECONCILIATION])),
        word=word,
        status=STATUSES.get(word),
        received_at=at,
        attempt_id=attempt,
        provider_sid=draw(st.sampled_from([None, f"SM{attempt.hex}"])) if attempt else "SMstray",
        error_code=draw(st.sampled_from([None, "30003", "30005"])),
        error_message=draw(st.sampled_from([None, "Unreachable"])),
        segments=draw(st.sampled_from([None, 1, 3])),
        price=draw(prices),
        raw={"word": word, "at": at.isoformat()},
    )


@st.composite
def splits(draw: st.DrawFn, items: Sequence[_T]) -> list[list[_T]]:
    """Draw an order of the items, repeats of some of them, and a division into batches."""
    repeated = [item for item in items for _ in range(draw(st.integers(1, 3)))]
    order = draw(st.permutations(repeated))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=5)))
    bounds = [0, *cuts, len(order)]
    return [list(order[a:b]) for a, b in pairwise(bounds)]


statuses = st.sampled_from(Status)
