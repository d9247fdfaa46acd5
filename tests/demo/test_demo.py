"""The demonstration is the shortest proof that the parts fit: run it as a newcomer does."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_demonstration_ends_well_and_its_accounts_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT" not in done.stdout
    posted, accepted = _numbers(done.stdout, r"posted (\d+) = accepted (\d+)")
    assert posted == accepted == 300
    acknowledged, recorded, repeats = _numbers(
        done.stdout, r"acknowledged (\d+) = recorded (\d+) \+ repeats (\d+)"
    )
    assert acknowledged == recorded + repeats
    assert repeats > 0, "the carrier repeats itself on purpose"
    assert _numbers(done.stdout, r"of these twice (\d+)") == (0,)
    for provider in ("twilio", "sinch"):
        [delivered] = _numbers(done.stdout, rf"(\d+) +{provider} +delivered")
        assert delivered > 100, "half of the traffic goes through each"


def _numbers(text: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, text)
    assert found is not None, text
    return tuple(int(number) for number in found.groups())
