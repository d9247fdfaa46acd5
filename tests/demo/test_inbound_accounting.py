"""The comparison of what recipients wrote: each check finds its violation."""

from typing import Any

import pytest

from demo.inbound_accounting import Recorded, compare_inbound

_PERSON = "+14155550001"


def entry(body: str, sid: str = "SM1", acknowledged: bool = True) -> dict[str, Any]:
    return {"sid": sid, "from": _PERSON, "body": body, "acknowledged": acknowledged}


def test_equal_records_pass() -> None:
    written = [entry("STOP", "SM1"), entry("START", "SM2"), entry("STOP", "SM3")]
    assert compare_inbound(written, Recorded(["SM1", "SM2", "SM3"], {_PERSON}))


@pytest.mark.parametrize(
    "recorded",
    [
        Recorded([], {_PERSON}),
        Recorded(["SM1", "SM1"], {_PERSON}),
        Recorded(["SM1", "SM9"], {_PERSON}),
        Recorded(["SM1"], set()),
        Recorded(["SM1"], {_PERSON, "+14155550002"}),
    ],
    ids=["lost", "twice", "not written", "not opted out", "opted out without STOP"],
)
def test_difference_fails(recorded: Recorded) -> None:
    assert not compare_inbound([entry("STOP")], recorded)


def test_silent_recipients_fail() -> None:
    assert not compare_inbound([], Recorded([], set()))


def test_unacknowledged_message_may_be_missing() -> None:
    assert compare_inbound([entry("Hello", acknowledged=False)], Recorded([], set()))
