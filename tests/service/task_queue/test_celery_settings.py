"""Each broker gets its own settings of Celery; the command line does not replace them."""

from pathlib import Path

import pytest
from celery import Celery

from service.task_queue.celery_settings import celery_settings
from service.task_queue.queue import ROUTES
from tests.conftest import make_settings

SECRET = "hunter2"
BROKERS = [
    f"redis://u:{SECRET}@h:1/0",
    f"rediss://:{SECRET}@h",
    f"unix://u:{SECRET}@/a/b",
    f"sentinel://u:{SECRET}@a,b:2/waybill/1",
    f"amqp://u:{SECRET}@h:1/v",
    f"amqps://u:{SECRET}@h",
]


def configured(broker: str) -> Celery:
    celery = Celery("test", set_as_current=False)
    settings = make_settings("sqlite:///unused.db", "redis://h", BROKER_URL=broker)
    celery.conf.update(celery_settings(settings, ROUTES, timeout=2.0))
    return celery


@pytest.mark.parametrize("broker", BROKERS, ids=lambda url: url.partition(":")[0])
def test_password_of_the_broker_is_not_shown(broker: str) -> None:
    celery = configured(broker)
    connection = celery.connection_for_read()
    assert SECRET not in connection.as_uri() + repr(connection) + celery.conf.humanize()
    assert connection.password == SECRET


@pytest.mark.parametrize("broker", BROKERS, ids=lambda url: url.partition(":")[0])
def test_command_of_celery_keeps_the_broker(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`celery worker` copies BROKER_URL from the environment, as it is, into this variable."""
    expected = configured(broker).connection_for_read().as_uri(include_password=True)
    monkeypatch.setenv("CELERY_BROKER_URL", broker + "?ssl_keyfile=x")
    celery = configured(broker)

    assert celery.connection_for_read().as_uri(include_password=True) == expected
    assert celery.connection_for_write().as_uri(include_password=True) == expected


def test_rabbitmq_has_no_options_of_redis() -> None:
    options = configured("amqp://h").conf.broker_transport_options
    assert set(options) == {"confirm_publish", "max_retries"}


def test_sentinels_have_time_limits_of_their_own() -> None:
    """A Sentinel that hangs leaves time for another one to answer."""
    options = configured("sentinel://a,b/waybill").conf.broker_transport_options
    assert options["master_name"] == "waybill"
    assert options["sentinel_kwargs"]["socket_timeout"] < options["socket_timeout"]
    assert options["sentinel_kwargs"]["socket_connect_timeout"] < options["socket_timeout"]


def test_tls_to_sentinels_is_verified() -> None:
    conf = configured("sentinels://a,b/waybill").conf
    for options in (conf.broker_use_ssl, conf.broker_transport_options["sentinel_kwargs"]):
        assert options["ssl_cert_reqs"] == "required"
        assert options["ssl_check_hostname"] is True


def test_tls_to_rabbitmq_is_verified(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    conf = configured(f"amqps://h?ssl_ca_certs={tmp_path}/ca.pem").conf

    assert conf.broker_use_ssl["cert_reqs"].name == "CERT_REQUIRED"
    assert "server_hostname" in conf.broker_use_ssl, "or the host name is not verified"
    assert conf.broker_use_ssl["ca_certs"] == f"{tmp_path}/ca.pem"
