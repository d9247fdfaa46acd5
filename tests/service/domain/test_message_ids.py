"""Creation times in message ids, to the millisecond."""

from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from service.domain.message_ids import creation_time, first_id

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MICROSECOND, MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)


def test_id_holds_its_creation_time() -> None:
    before = datetime.now(UTC)
    created = creation_time(uuid7())
    assert before - MILLISECOND <= created <= datetime.now(UTC)


@pytest.mark.parametrize("moment", [NOON, NOON + MILLISECOND, NOON - MILLISECOND])
def test_first_id_is_of_its_millisecond(moment: datetime) -> None:
    assert creation_time(first_id(moment)) == moment


def test_first_id_rounds_up_to_the_millisecond() -> None:
    assert first_id(NOON + MICROSECOND) == first_id(NOON + MILLISECOND)
    assert first_id(NOON - MICROSECOND) == first_id(NOON)


def test_first_id_of_minimum_and_maximum_time() -> None:
    assert first_id(datetime.min.replace(tzinfo=UTC)).int == 0
    assert first_id(datetime.max.replace(tzinfo=UTC)).int < 2**128
