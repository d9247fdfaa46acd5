"""`make demo`, as a new user runs it."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_demo_succeeds_and_loses_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    posted, accepted = _numbers(done.stdout, r"(\d+) posted, (\d+) accepted, 0 lost")
    assert posted == accepted == 326
    acknowledged, recorded, duplicates = _numbers(
        done.stdout, r"(\d+) acknowledged, (\d+) recorded \+ (\d+) duplicates, 0 lost"
    )
    assert acknowledged == recorded + duplicates
    assert duplicates > 0, "the simulated provider sends duplicates"
    [waiting] = _numbers(done.stdout, r"(\d+) messages wait")
    assert waiting == 20, "the account is suspended"
    [_, refused] = _numbers(done.stdout, r"all are sent after (\d+) s; Twilio refused (\d+) calls")
    assert refused > 0
    assert _numbers(done.stdout, r"sent by the provider, (\d+) repeated") == (0,)
    owed, received = _numbers(done.stdout, r"(\d+) owed = (\d+) received \+ 0 missing")
    assert owed == received >= 300, "a webhook for each message"
    written, heard, recorded = _numbers(
        done.stdout, r"(\d+) written, (\d+) acknowledged, (\d+) recorded, 0 lost, 0 twice"
    )
    assert written == heard == recorded > 50, "every fifth recipient writes back"
    for provider in ("twilio", "sinch"):
        calls = re.findall(rf"^ +{provider} .* (\d) calls? to the provider$", done.stdout, re.M)
        assert calls == ["1", "0", "1"], "STOP suppresses the second message, START ends it"
        [delivered] = _numbers(done.stdout, rf"(\d+) +{provider} +delivered")
        assert delivered > 100, "each provider gets half of the messages"


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    match = re.search(pattern, text)
    assert match is not None, text
    return tuple(int(number) for number in match.groups())
