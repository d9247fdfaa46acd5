"""A server that replaces the provider."""

from collections.abc import Iterator

import pytest

from tests.stand import Stand, standing


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def stand() -> Iterator[Stand]:
    with standing() as stand:
        yield stand
