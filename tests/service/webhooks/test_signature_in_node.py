"""The public packages for Node accept our signatures, and refuse what we did not sign."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.webhooks import signature

NODE = Path(__file__).parents[2] / "node"
BODY = json.dumps({"type": "message.updated", "data": {"text": "Grüße 🎉"}}, ensure_ascii=False)
NEW, OLD, OTHER = (signature.new_secret() for _ in range(3))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed (nodejs, npm)"),
    pytest.mark.skipif(
        not (NODE / "node_modules").exists(),
        reason="the packages of tests/node are not installed: run tests/install-tools",
    ),
]


def case(
    secret: str = NEW,
    body: str = BODY,
    age: int = 0,
    secrets: tuple[str, ...] = (NEW,),
    changes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a request that Waybill signed and somebody changed, and the secret of its receiver."""
    headers = signature.headers("evt_42", int(time.time()) - age, BODY.encode(), secrets)
    return {"secret": secret, "body": body, "headers": {**headers, **(changes or {})}}


def verified(cases: list[dict[str, Any]]) -> dict[str, list[bool]]:
    process = subprocess.run(
        ["node", "verify.mjs"],
        cwd=NODE,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    results: dict[str, list[bool]] = json.loads(process.stdout)
    return results


def test_packages_for_node_tell_what_waybill_signed() -> None:
    accepted = {
        "one secret": case(),
        "the new secret, during a rotation": case(secrets=(NEW, OLD)),
        "the old secret, during a rotation": case(OLD, secrets=(NEW, OLD)),
    }
    refused = {
        "another secret": case(OTHER),
        "another secret, during a rotation": case(OTHER, secrets=(NEW, OLD)),
        "an altered body": case(body=BODY.replace("updated", "deleted")),
        "an altered id": case(changes={"webhook-id": "evt_43"}),
        "an altered time": case(changes={"webhook-timestamp": str(int(time.time()) - 10)}),
        "a replay after 10 minutes": case(age=600),
        "a time 10 minutes ahead": case(age=-600),
    }
    results = verified([*accepted.values(), *refused.values()])

    assert results.keys() == {"standardwebhooks", "svix"}
    for answers in results.values():
        told = dict(zip([*accepted, *refused], answers, strict=True))
        assert told == {**dict.fromkeys(accepted, True), **dict.fromkeys(refused, False)}
