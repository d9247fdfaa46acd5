from pathlib import Path

import pytest

from bench import callbacks
from bench.callbacks import ABREAST
from bench.load import Load, parse
from bench.rounds import Void, Work, verify

SEEN = Load(
    sent=10,
    early=5,
    accepted=10,
    refused=0,
    broken=0,
    first=100.0,
    last=102.0,
    p50_ms=1.0,
    p99_ms=2.0,
    cores=0.1,
)


def test_a_shorter_round_is_about_messages_whose_callbacks_come_first() -> None:
    work = Work(callbacks.sent(3 * ABREAST), Path("requests"), seconds=60, burst=30)
    assert len(work.of(30).messages) == ABREAST  # one and a half thousand begin in the second
    assert work.of(1).messages == work.messages[:ABREAST]


def test_a_round_counts_when_the_database_holds_what_was_accepted() -> None:
    verify(SEEN, recorded=10)


@pytest.mark.parametrize("recorded", [9, 11])
def test_a_round_is_void_when_the_database_holds_anything_else(recorded: int) -> None:
    with pytest.raises(Void, match=f"10 callbacks were accepted, {recorded} are recorded"):
        verify(SEEN, recorded)


@pytest.mark.parametrize("fault", [SEEN._replace(refused=1), SEEN._replace(broken=1)])
def test_a_round_is_void_when_a_callback_was_not_accepted(fault: Load) -> None:
    with pytest.raises(Void):
        verify(fault, recorded=10)


def test_what_wrk_says_is_read_and_an_answer_that_never_came_is_noticed() -> None:
    said = (
        'Running 2s test\nRESULT {"answered": 9, "sent": 10, "early": 5, "refused": 2, "broken": 0,'
        ' "first": 100.0, "last": 102.0, "exhausted": false, "p50_ms": 1.5, "p99_ms": 2.5}\n'
    )
    seen = parse(said, cpu_seconds=0.5)
    assert (seen.accepted, seen.refused, seen.broken) == (7, 2, 1)
    assert (seen.rate, seen.cores) == (3.5, 0.25)


def test_a_generator_that_says_nothing_did_not_end_well() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect", cpu_seconds=0)
