"""Compares Waybill's database with the records of the simulated provider."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import requests
from sqlalchemy import func, select

from demo.receiver import Receiver
from demo.stack import Stack
from service.app import create_app
from service.components import components
from service.config.settings import Settings
from service.database import db
from service.domain.report import Source
from service.domain.status import FINAL, Status
from service.models import DeadLetter, Message, Overflow, StatusEvent, WebhookDelivery

_WEBHOOK_TIMEOUT: Final = 10.0


class WaybillTotals(NamedTuple):
    """Totals of Waybill's database."""

    statuses: dict[Status, int]
    recorded: int
    repeats: int
    unrecorded: int  # callbacks in the inbox, the overflow or the dead letters

    @property
    def accepted(self) -> int:
        """Return the number of accepted messages."""
        return sum(self.statuses.values())

    @property
    def final(self) -> int:
        """Return the number of messages with a final status."""
        return sum(count for status, count in self.statuses.items() if status in FINAL)


class ProviderTotals(NamedTuple):
    """Totals of the simulated provider."""

    sent: int
    repeated: int
    acknowledged: int


def waybill_totals(stack: Stack) -> WaybillTotals:
    """Read the totals from Waybill's database and inbox."""
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        by_status = select(Message.status, func.count()).group_by(Message.status)
        events = select(func.count(), func.coalesce(func.sum(StatusEvent.repeats), 0)).where(
            StatusEvent.source == Source.CALLBACK
        )
        recorded, repeats = db.session.execute(events).one()
        unrecorded = components().inbox.lag() + sum(
            db.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Overflow, DeadLetter)
        )
        statuses = {row[0]: row[1] for row in db.session.execute(by_status)}
        return WaybillTotals(statuses, recorded, repeats, unrecorded)


def provider_totals(stack: Stack) -> ProviderTotals:
    """Read the totals from the simulated provider."""
    records = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=30).json()
    messages = records["messages"]
    # The callback URL names the attempt.
    sends = Counter(message["status_callback"] for message in messages if message["on_air"])
    answers = [callback["answer"] for message in messages for callback in message["callbacks"]]
    return ProviderTotals(
        sent=sum(message["on_air"] for message in messages),
        repeated=sum(count - 1 for count in sends.values()),
        acknowledged=sum(answer is not None and 200 <= answer < 300 for answer in answers),
    )


def compare(posted: int, waybill: WaybillTotals, provider: ProviderTotals) -> bool:
    """Print the comparison; return whether all checks pass."""
    in_doubt = waybill.statuses.get(Status.IN_DOUBT, 0)
    in_flight = waybill.accepted - waybill.final - in_doubt
    lost = posted - waybill.accepted
    lost_callbacks = provider.acknowledged - waybill.recorded - waybill.repeats
    checks = {
        f"messages    {posted} posted, {waybill.accepted} accepted, {lost} lost": lost == 0,
        f"statuses    {waybill.final} final, {in_flight} in flight, {in_doubt} in doubt": (
            in_flight >= 0
        ),
        f"sends       {provider.sent} sent by the provider, {provider.repeated} repeated": (
            provider.repeated == 0
        ),
        f"callbacks   {provider.acknowledged} acknowledged,"
        f" {waybill.recorded} recorded + {waybill.repeats} duplicates,"
        f" {lost_callbacks} lost": lost_callbacks == 0,
        f"backlog     {waybill.unrecorded} callbacks not yet recorded": waybill.unrecorded == 0,
    }
    return print_checks(checks)


def owed_events(stack: Stack) -> set[str]:
    """Return the ids of the events that Waybill owes to webhook endpoints."""
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        return {f"evt_{id_}" for id_ in db.session.scalars(select(WebhookDelivery.event_id))}


def compare_webhooks(owed: set[str], receiver: Receiver) -> bool:
    """Print whether every event that is owed was received; wait for the last for 10 s."""
    deadline = time.monotonic() + _WEBHOOK_TIMEOUT
    while owed - receiver.events and time.monotonic() < deadline:
        time.sleep(0.1)
    missing, unknown = owed - receiver.events, receiver.events - owed
    repeated, forged = receiver.repeated, receiver.forged
    return print_checks(
        {
            f"webhooks    {len(owed)} owed = {len(receiver.events)} received"
            f" + {len(missing)} missing": bool(owed) and not missing and not unknown,
            f"signatures  {forged} invalid, {repeated} events received again": not forged,
        }
    )


def print_checks(checks: Mapping[str, bool]) -> bool:
    """Print each check and whether it passed; return whether all did."""
    for check, passed in checks.items():
        print(f"  {'ok    ' if passed else 'FAILED'}  {check}")
    return all(checks.values())


def print_statuses(messages: Iterable[dict[str, Any]]) -> None:
    """Print a table of messages by provider, status and error."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for message in messages:
        error = message["error"] or {}
        code, explanation = error.get("code", ""), error.get("explanation", "")
        counts[message["provider"], message["status"], code, explanation] += 1
    print("  count  provider  status        error")
    for (provider, status, code, explanation), count in sorted(counts.items()):
        print(f"  {count:>5}  {provider:<8}  {status:<12}  {code:<17} {explanation}".rstrip())


def print_timeline(message: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
    """Print every event of one message."""
    print(f"  {message['created_at']}  accepted from the client, id {message['id']}")
    if message["submitted_at"]:
        print(f"  {message['submitted_at']}  claimed by a send worker")
    for event in sorted(events, key=lambda event: str(event["received_at"])):
        count = f"  ({event['repeats'] + 1} times)" if event["repeats"] else ""
        code = f" {event['error_code']}" if event["error_code"] else ""
        status = f"{event['source']:<9} {event['provider_status']}{code}{count}"
        print(f"  {event['received_at']}  {status}")
    print(f"  status: {message['status']}, provider SID {message['provider_sid']}")
