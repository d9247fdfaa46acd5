"""The simulator in a thread of this process."""

import pytest
import requests

from simulator.config import Config
from simulator.running import running


def test_it_serves_on_a_free_port_and_is_gone_after_the_block():
    with running() as one, running() as other:
        assert one.url != other.url
        assert requests.get(f"{one.url}/_simulator/idle", timeout=5).json()["idle"]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{one.url}/_simulator/idle", timeout=5)


def test_a_configuration_that_makes_no_sense_is_told_to_the_caller():
    with pytest.raises(ValueError, match="no such fault"), running(Config(faults={"fire": 1})):
        pass


def test_a_message_the_books_do_not_hold_is_a_key_error(simulator):
    with pytest.raises(KeyError):
        simulator.message("SM1")
