"""The view of a tutorial: one row, one commit, one `apply_async`."""

import os
from uuid import uuid4

from celery import Celery
from flask import Flask, Response, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base class of the tables."""


app = Flask("plain_post", static_folder=None)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app, model_class=Base)
celery = Celery("bench", broker=os.environ["REDIS_URL"])
celery.conf.task_ignore_result = True


class PlainMessage(Base):
    """A message to send."""

    __tablename__ = "plain_message"
    id: Mapped[str] = mapped_column(primary_key=True)
    to: Mapped[str]
    body: Mapped[str]
    status: Mapped[str]


def _send(message_id: str) -> None:
    raise NotImplementedError(f"{message_id} is not sent: only the view is measured")


send = celery.task(_send, name="send")


@app.post("/v1/messages")
def post() -> tuple[Response, int]:
    """Store a message, enqueue a task, and answer."""
    fields = request.get_json()
    message = PlainMessage(id=str(uuid4()), to=fields["to"], body=fields["body"], status="pending")
    db.session.add(message)
    db.session.commit()
    send.apply_async((message.id,))
    return jsonify(id=message.id, status=message.status), 202
