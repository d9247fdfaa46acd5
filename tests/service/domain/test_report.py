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
