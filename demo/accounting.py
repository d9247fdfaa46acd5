"""What became of everything, by two witnesses who must agree."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import requests
from sqlalchemy import func, select

from demo.stack import Stack
from service.app import create_app
from service.components import components
from service.config.settings import Settings
from service.database import db
from service.domain.report import Source
from service.domain.status import FINAL, Status
from service.models import DeadLetter, Message, Overflow, StatusEvent


class Ours(NamedTuple):
    """What Waybill's database says."""

    statuses: dict[Status, int]
    recorded: int
    repeats: int
    unrecorded: int  # in the inbox, in the overflow, or set aside

    @property
    def accepted(self) -> int:
        """Return how many messages were accepted."""
        return sum(self.statuses.values())

    @property
    def final(self) -> int:
        """Return how many messages have a final status."""
        return sum(count for status, count in self.statuses.items() if status in FINAL)


class Theirs(NamedTuple):
    """What the carrier's books say."""

    on_air: int
    twice: int
    acknowledged: int


def ours(stack: Stack) -> Ours:
    """Ask Waybill's database."""
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        by_status = select(Message.status, func.count()).group_by(Message.status)
        heard = select(func.count(), func.coalesce(func.sum(StatusEvent.repeats), 0)).where(
            StatusEvent.source == Source.CALLBACK
        )
        recorded, repeats = db.session.execute(heard).one()
        aside = sum(
            db.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Overflow, DeadLetter)
        )
        statuses = {row[0]: row[1] for row in db.session.execute(by_status)}
        return Ours(statuses, recorded, repeats, aside + components().inbox.lag())


def theirs(stack: Stack) -> Theirs:
    """Ask the carrier."""
    books = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=30).json()
    messages = books["messages"]
    sent = Counter(message["status_callback"] for message in messages if message["on_air"])
    answers = [one["answer"] for message in messages for one in message["callbacks"]]
    return Theirs(
        on_air=sum(message["on_air"] for message in messages),
        twice=sum(count - 1 for count in sent.values()),
        acknowledged=sum(answer is not None and 200 <= answer < 300 for answer in answers),
    )


def account(posted: int, mine: Ours, carrier: Theirs) -> bool:
    """Print the accounting; return whether it holds."""
    doubt = mine.statuses.get(Status.IN_DOUBT, 0)
    flight = mine.accepted - mine.final - doubt
    heard = mine.recorded + mine.repeats
    claims = {
        f"posted {posted} = accepted {mine.accepted}": posted == mine.accepted,
        f"accepted {mine.accepted} = final {mine.final} + in flight {flight} + in doubt {doubt}": (
            flight >= 0
        ),
        f"on the air {carrier.on_air}, of these twice {carrier.twice}": carrier.twice == 0,
        f"callbacks acknowledged {carrier.acknowledged} = recorded {mine.recorded}"
        f" + repeats {mine.repeats}": carrier.acknowledged == heard,
        f"callbacks not yet recorded {mine.unrecorded}": mine.unrecorded == 0,
    }
    for claim, holds in claims.items():
        print(f"  {'ok ' if holds else 'NOT'}  {claim}")
    return all(claims.values())


def outcomes(messages: Iterable[dict[str, Any]]) -> None:
    """Print one line for each kind of outcome."""
    kinds: Counter[tuple[str, str, str, str]] = Counter()
    for message in messages:
        error = message["error"] or {}
        said = (error.get("code", ""), error.get("explanation", ""))
        kinds[message["provider"], message["status"], *said] += 1
    for (provider, status, code, explanation), count in sorted(kinds.items()):
        print(f"  {count:>4}  {provider:<7} {status:<12} {code:<6} {explanation}".rstrip())


def timeline(message: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
    """Print the whole story of one message."""
    print(f"  {message['created_at']}  accepted from the client as {message['id']}")
    if message["submitted_at"]:
        print(f"  {message['submitted_at']}  claimed by a send worker")
    for event in sorted(events, key=lambda event: str(event["received_at"])):
        again = f"  (said {event['repeats'] + 1} times)" if event["repeats"] else ""
        code = f" {event['error_code']}" if event["error_code"] else ""
        said = f"{event['source']:<9} {event['provider_status']}{code}{again}"
        print(f"  {event['received_at']}  {said}")
    print(f"  shown: {message['status']}, provider's id {message['provider_sid']}")
