from pathlib import Path

import pytest

from bench import callbacks
from bench.callbacks import INTERLEAVED
from bench.load import Load, parse
from bench.rounds import InvalidResult, Work, verify

LOAD = Load(
    sent=10,
    early=5,
    accepted=10,
    rejected=0,
    failed=0,
    first=100.0,
    last=102.0,
    p50_ms=1.0,
    p99_ms=2.0,
    cores=0.1,
)


def test_shorter_round_uses_the_first_messages() -> None:
    work = Work(callbacks.make_messages(3 * INTERLEAVED), Path("requests"), seconds=60, burst=30)
    assert (
        len(work.shortened(30).messages) == INTERLEAVED
    )  # half of 3,000 messages, in whole groups of 1,000
    assert work.shortened(1).messages == work.messages[:INTERLEAVED]


def test_round_is_valid_when_all_callbacks_are_recorded() -> None:
    verify(LOAD, recorded=10)


@pytest.mark.parametrize("recorded", [9, 11])
def test_round_is_invalid_when_the_database_differs(recorded: int) -> None:
    with pytest.raises(InvalidResult, match=f"10 callbacks accepted, {recorded} recorded"):
        verify(LOAD, recorded)


@pytest.mark.parametrize("fault", [LOAD._replace(rejected=1), LOAD._replace(failed=1)])
def test_round_is_invalid_when_a_callback_is_rejected(fault: Load) -> None:
    with pytest.raises(InvalidResult):
        verify(fault, recorded=10)


def test_wrk_output_is_parsed_with_missing_answers() -> None:
    output = (
        'Running 2s test\nRESULT {"answered": 9, "sent": 10, "early": 5, "rejected": 2,'
        ' "failed": 0, "first": 100.0, "last": 102.0,'
        ' "exhausted": false, "p50_ms": 1.5, "p99_ms": 2.5}\n'
    )
    load = parse(output, cpu_seconds=0.5)
    assert (load.accepted, load.rejected, load.failed) == (7, 2, 1)
    assert (load.rate, load.cores) == (3.5, 0.25)


def test_wrk_without_a_result_raises() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect", cpu_seconds=0)
