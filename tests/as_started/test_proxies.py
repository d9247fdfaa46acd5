"""An HTTP proxy to the provider that does not answer."""

import pytest

from demo.servers import free_port
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, until
from tests.stand import standing

pytestmark = pytest.mark.slow


def test_message_waits_until_the_proxy_is_back(install: Install) -> None:
    port = free_port()
    waybill = install(TWILIO_API_BASE_URL="http://twilio.example.com")
    waybill.export(HTTP_PROXY=f"http://127.0.0.1:{port}", NO_PROXY="")
    waybill.start("web", "worker-send", "beat")
    client = Client(waybill)
    message_id = client.post()

    explain = ("flask", "--app", "service.app", "explain", message_id)
    until(lambda: "not accepted by twilio" in waybill.run(*explain), 90)
    assert client.status(message_id) in ("pending", "submitting")
    with standing(port) as proxy:
        proxy.answer(201, {"sid": "SM" + "0" * 32, "status": "queued"})
        until(lambda: client.status(message_id) == "queued", 60)
