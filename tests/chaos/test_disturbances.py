"""Disturbances, without the system that they disturb."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from redis import Redis

from demo.servers import redis_server
from tests.chaos.disturbances import RECEIVED, Targets, disturb

_FORM = {"MessageSid": "SM1", "Body": "STOP", "NumMedia": "0"}
_INBOX = [
    ("twilio", urlencode({"MessageSid": "SM2", "MessageStatus": "sent"}).encode()),
    ("twilio", urlencode(_FORM).encode()),
    ("sinch", orjson.dumps({"batch_id": "01A", "status": "Delivered"})),
    ("sinch", orjson.dumps({"type": "mo_text", "id": "01B", "body": "STOP"})),
]


def test_deleted_callbacks_and_inbound_messages_are_noted(tmp_path: Path) -> None:
    nothing: Any = None
    # With `everysec`, Redis delays its writes to the file while a flush to the disk goes on.
    with redis_server(tmp_path / "redis", fsync="always") as server:
        with Redis.from_url(server.url, protocol=2) as client:
            for provider, body in _INBOX:
                client.xadd("waybill:inbox", {"p": provider, "b": body})
        targets = Targets(nothing, server, nothing, {}, deleted=set())
        disturb(targets, "redis without its file", 0)
        with Redis.from_url(server.url, protocol=2) as client:
            assert client.xlen("waybill:inbox") == 0
    assert targets.deleted == {
        ("SM2", "sent"),
        ("SM1", RECEIVED),
        ("01A", "Delivered"),
        ("01B", RECEIVED),
    }
