"""A URL of RabbitMQ that Celery would misread is refused at start."""

import pytest

from service.config.settings import ConfigurationError
from tests.conftest import make_settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"amqp://u:{SECRET}@a,b", "one address"),
        (f"amqp://u:{SECRET}@a;amqp://b", "one address"),
        (f"amqp://u:{SECRET}@a?heartbeat=1", "no others"),
        (f"amqps://u:{SECRET}@a?heartbeat=1", "ssl_ca_certs"),
        (f"amqps://u:{SECRET}@a?ssl_ca_certs=/nowhere", "does not exist"),
        (f"amqp://u:{SECRET}#@a", "percent codes"),
        (f"amqp://u:{SECRET}/x@a", "percent codes"),
        (f"amqpx://u:{SECRET}@a", "must start with"),
    ],
    ids=["hosts", "urls", "option", "tls-option", "no-file", "hash", "slash", "scheme"],
)
def test_unusable_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_settings("sqlite:///x.db", "redis://h", BROKER_URL=url)

    assert "BROKER_URL: " in str(raised.value)
    assert problem in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("url", ["amqp://h", "amqp://u:p%40@h:5673/v", "amqps://h//"])
def test_usable_url_is_kept(url: str) -> None:
    settings = make_settings("sqlite:///x.db", "redis://h", BROKER_URL=url)
    assert settings.broker_address == url
