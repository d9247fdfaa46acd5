"""The simulator in a thread of this process."""

import pytest
import requests

from simulator.config import Config
from simulator.running import running


def test_simulator_uses_a_free_port_and_stops():
    with running() as one, running() as other:
        assert one.url != other.url
        assert requests.get(f"{one.url}/_simulator/idle", timeout=5).json()["idle"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{one.url}/_simulator/idle", timeout=5)


def test_invalid_configuration_raises_value_error():
    with pytest.raises(ValueError, match="unknown fault"), running(Config(faults={"fire": 1})):
        pass


def test_unknown_message_raises_key_error(simulator):
    with pytest.raises(KeyError):
        simulator.message("SM1")
