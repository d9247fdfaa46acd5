"""The web server: verifies a callback, enqueues a task, answers."""

import os

from flask import Flask, request
from twilio.request_validator import RequestValidator

from bench.peers.task_per_callback.recording import record

app = Flask("task_per_callback", static_folder=None)
_base = os.environ["PUBLIC_BASE_URL"]
_validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])


@app.post("/callbacks/twilio/<attempt>")
def callback(attempt: str) -> tuple[str, int]:
    """Answer 204 when the task is enqueued, 403 for an invalid signature."""
    url = f"{_base}/callbacks/twilio/{attempt}"
    signature = request.headers.get("X-Twilio-Signature", "")
    if not _validator.validate(url, request.form, signature):
        return "", 403
    record.delay(request.form.to_dict())
    return "", 204
