"""What makes two reports the same statement."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.domain.report import Source
from tests.fakes import said

REPORT = said("sent", attempt_id=UUID(int=1), sid="SM1")


def test_when_a_report_arrived_is_not_part_of_what_it_says() -> None:
    later = REPORT._replace(received_at=REPORT.received_at + timedelta(hours=1), raw={"new": 1})
    assert later.identity == REPORT.identity


def test_statements_about_attempts_stand_in_the_order_in_which_those_were_made() -> None:
    """Of one hour, they share a few pages of the ledger's index, however long it is."""
    earlier = REPORT._replace(attempt_id=UUID("019ab0c0-0001-7fff-bfff-ffffffffffff"))
    later = REPORT._replace(attempt_id=UUID("019ab0c0-0002-7000-8000-000000000000"))
    assert earlier.identity < later.identity


def test_a_statement_about_nothing_of_ours_has_an_identity_all_the_same() -> None:
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
def test_anything_else_makes_it_another_statement(change: dict[str, Any]) -> None:
    assert REPORT._replace(**change).identity != REPORT.identity
