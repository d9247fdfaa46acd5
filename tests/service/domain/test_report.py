"""The identity of reports."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.domain.report import Source
from tests.fakes import said

REPORT = said("sent", attempt_id=UUID(int=1), sid="SM1")


def test_identity_ignores_arrival_time_and_payload() -> None:
    later = REPORT._replace(received_at=REPORT.received_at + timedelta(hours=1), raw={"new": 1})
    assert later.identity == REPORT.identity


def test_identities_sort_by_creation_of_attempts() -> None:
    """Identities of one hour are on few pages of the ledger's index."""
    earlier = REPORT._replace(attempt_id=UUID("019ab0c0-0001-7fff-bfff-ffffffffffff"))
    later = REPORT._replace(attempt_id=UUID("019ab0c0-0002-7000-8000-000000000000"))
    assert earlier.identity < later.identity


def test_report_without_attempt_has_identity() -> None:
    assert len(REPORT._replace(attempt_id=None).identity) == len(REPORT.identity) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"word": "delivered"},
        {"attempt_id": UUID(int=2)},
        {"provider_sid": "SM2"},
        {"error_code": "30003"},
        {"source": Source.RECONCILIATION},
        {"provider_time": "2611210107"},
        {"segments": 2},
        {"provider": "other"},
    ],
)
def test_any_other_field_changes_the_identity(change: dict[str, Any]) -> None:
    assert REPORT._replace(**change).identity != REPORT.identity
