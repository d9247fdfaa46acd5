"""The checks of what recipients wrote: each finds its violation."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.inbound_verdict import InboundVerdict, Recorded, Written, judge

_START = datetime(2026, 11, 26, tzinfo=UTC)
_PERSON, _SENDER = "+14150000001", "+15005550006"
_PAIR = (_PERSON, _SENDER, "twilio")


def written(text: str, second: int = 0, *, acknowledged: bool = True, takes: int = 10) -> Written:
    earliest = _START + timedelta(seconds=second)
    latest = earliest + timedelta(seconds=takes)
    sid = f"SM-{text}-{second}"
    return Written("twilio", sid, _PERSON, (_SENDER,), text, acknowledged, earliest, latest)


def recorded(*messages: Written, opted_out: bool = False) -> Recorded:
    sids = [(each.provider, each.sid) for each in messages]
    return Recorded(sids, {each.sid: 1 for each in messages}, {_PAIR} if opted_out else set())


def violations(verdict: InboundVerdict) -> list[str]:
    names = ("lost", "missed", "twice", "unknown", "wrong_opt_outs")
    return [name for name in names if getattr(verdict, name)]


def test_recorded_messages_pass() -> None:
    both = [written("STOP"), written("Thank you!", 30)]
    assert judge(both, recorded(*both, opted_out=True), set()).holds()


def test_acknowledged_message_without_row_is_lost() -> None:
    stop = written("STOP")
    assert violations(judge([stop], recorded(), set())) == ["lost"]


def test_message_that_no_list_gave_is_missed() -> None:
    verdict = judge([written("STOP", acknowledged=False)], recorded(), set())
    assert violations(verdict) == ["missed"]


def test_message_deleted_with_redis_is_not_lost() -> None:
    stop = written("STOP")
    verdict = judge([stop], recorded(), {(stop.sid, "received")})
    assert violations(verdict) == ["missed"]


def test_message_found_in_a_list_passes() -> None:
    stop = written("STOP", acknowledged=False)
    assert judge([stop], recorded(stop, opted_out=True), set()).holds()


def test_second_row_is_found() -> None:
    hello = written("Hello")
    assert violations(judge([hello], recorded(hello, hello), set())) == ["twice"]


@pytest.mark.parametrize("events", [0, 2])
def test_missing_or_second_event_is_found(events: int) -> None:
    hello = written("Hello")
    rows = recorded(hello)._replace(told={hello.sid: events})
    assert violations(judge([hello], rows, set())) == ["twice"]


def test_message_that_no_person_wrote_is_found() -> None:
    assert violations(judge([], recorded(written("Hello")), set())) == ["unknown"]


@pytest.mark.parametrize("last", ["STOP", "START"])
def test_last_word_decides(last: str) -> None:
    first = {"STOP": "START", "START": "STOP"}[last]
    words = [written(first), written(last, 30)]
    verdicts = {out: judge(words, recorded(*words, opted_out=out), set()) for out in (True, False)}
    assert verdicts[last == "STOP"].holds()
    assert violations(verdicts[last != "STOP"]) == ["wrong_opt_outs"]


@pytest.mark.parametrize("opted_out", [True, False])
def test_words_that_overlap_allow_both(opted_out: bool) -> None:
    words = [written("STOP", takes=60), written("START", 30)]
    assert judge(words, recorded(*words, opted_out=opted_out), set()).holds()


def test_opt_out_of_a_person_who_wrote_no_stop_is_found() -> None:
    hello = written("Hello")
    verdict = judge([hello], recorded(hello, opted_out=True), set())
    assert violations(verdict) == ["wrong_opt_outs"]
