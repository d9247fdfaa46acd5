"""docs/scaling.md agrees with the measured costs, and its settings are accepted."""

import re
from pathlib import Path

import pytest

from service.config.settings import Settings
from tests.test_documentation import table

ROOT = Path(__file__).parents[1]
SCALING = (ROOT / "docs/scaling.md").read_text()
PERFORMANCE = (ROOT / "docs/performance.md").read_text()
UTILISATION = 0.8
COSTS = {
    name: sum(map(int, cost.split("+")))
    for name, cost in table(PERFORMANCE, "Cost of one callback")
    if re.fullmatch(r"[\d +]+", cost)
}
# The columns of the arithmetic, by the row of the measured costs.
COLUMNS = {
    "web, two processes": 1,
    "status worker": 2,
    "PostgreSQL": 3,
    "Redis, append-only file on": 4,
}
REQUIRED = {
    "PUBLIC_BASE_URL": "https://sms.example.com",
    "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
    "TWILIO_AUTH_TOKEN": "unused",
}
EXAMPLES = re.findall(r"^## (.+)\n\n(?:.+\n)*?\n?```env\n((?:.*\n)*?)```$", SCALING, re.MULTILINE)


def cores(rate: str, name: str) -> float:
    return int(rate.replace(",", "")) * COSTS[name] / 1e6 / UTILISATION


def test_cores_follow_from_the_measured_costs() -> None:
    rows = [row for row in table(SCALING, "Arithmetic") if len(row) == 6]
    assert len(rows) == 3
    for rate, *shown in rows:
        expected = {name: cores(rate, name) for name in COLUMNS}
        for name, column in COLUMNS.items():
            assert float(shown[column - 1]) == pytest.approx(expected[name], abs=0.06)
        assert float(shown[-1]) == pytest.approx(sum(expected.values()), abs=0.06)


@pytest.mark.parametrize(("step", "lines"), EXAMPLES, ids=[step for step, _ in EXAMPLES])
def test_settings_of_each_step_are_accepted(step: str, lines: str) -> None:
    shown = dict(line.split("=", 1) for line in lines.splitlines())
    names = {name.upper() for name in Settings.model_fields}
    assert shown.keys() <= names
    assert Settings.load({**REQUIRED, **shown})


def test_every_step_shows_its_settings() -> None:
    steps = [row[0] for row in table(SCALING, "Scaling")]
    assert [re.sub(r"\[(.+)\].*", r"\1", step) for step in steps] == [step for step, _ in EXAMPLES]
