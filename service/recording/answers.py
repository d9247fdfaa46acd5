"""Answers of providers to our calls, and their form in the inbox."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.domain.account import DEFAULT_ACCOUNT
from service.domain.report import Price, Source, StatusReport
from service.domain.scope import Scope
from service.domain.status import Status
from service.errors import Blocked, NoRoute, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.base import Callback
from service.recording.redaction import impersonal

# Stands in place of the provider in an entry of the inbox. No provider has this name, and no
# callback URL leads to it.
ANSWER: Final = "answer"
_VERSION: Final = 1
WORDS: Final[Mapping[type[ProviderError], str]] = {
    Refused: "refused",
    NoRoute: "no_route",
    Blocked: "blocked",
    NotAccepted: "not_accepted",
    OutcomeUnknown: "unknown",
}
_ERRORS: Final = {word: kind for kind, word in WORDS.items()}


class Answer(NamedTuple):
    """How the call for one attempt ended: with a report or an error."""

    message_id: UUID
    client_id: int
    provider: str
    attempt_id: UUID
    attempt: int
    answered_at: datetime
    account: str = DEFAULT_ACCOUNT
    tries: int = 0  # earlier attempts of the message without an effect
    holds: tuple[int, ...] = ()  # active ones in spite of which the call was made
    held_value: str = ""  # what a hold names, if the account is blocked: a sender or a country
    began: bool = True  # false if no request was made
    to_next: bool = False  # another provider takes the message
    report: StatusReport | None = None
    error: ProviderError | None = None
    expires_at: datetime | None = None  # the deadline of the message


def packed(answer: Answer) -> Callback:
    """Return an answer as an entry of the inbox, redacted: no text and no number in Redis."""
    document = {
        **answer._asdict(),
        "version": _VERSION,
        "report": answer.report and _packed_report(answer.report),
        "error": answer.error and _packed_error(answer.provider, answer.error),
    }
    body = json.dumps(document, default=str).encode()
    return Callback(ANSWER, str(answer.attempt_id), body, answer.answered_at)


def unpacked(entry: Callback) -> Answer:
    """Return the answer in an entry of the inbox. Raises ValueError for another version."""
    document = json.loads(entry.body)
    if document.pop("version", None) != _VERSION:
        raise ValueError("an answer of another version")
    report, error, expires_at = document["report"], document["error"], document["expires_at"]
    return Answer(
        message_id=UUID(document["message_id"]),
        client_id=document["client_id"],
        provider=document["provider"],
        attempt_id=UUID(document["attempt_id"]),
        attempt=document["attempt"],
        account=document.get("account", DEFAULT_ACCOUNT),
        tries=document.get("tries", 0),
        holds=tuple(document.get("holds", ())),
        held_value=document.get("held_value", ""),
        began=document.get("began", True),
        to_next=document.get("to_next", False),
        answered_at=entry.received_at,
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        report=_unpacked_report(report) if report else None,
        error=_unpacked_error(error) if error else None,
    )


def _packed_report(report: StatusReport) -> dict[str, Any]:
    return {**report._asdict(), "raw": impersonal(report.provider, report.word, report.raw)}


def _unpacked_report(fields: dict[str, Any]) -> StatusReport:
    price = fields["price"]
    return StatusReport(
        **{
            **fields,
            "source": Source(fields["source"]),
            "status": Status(fields["status"]) if fields["status"] else None,
            "received_at": datetime.fromisoformat(fields["received_at"]),
            "message_id": UUID(fields["message_id"]) if fields["message_id"] else None,
            "attempt_id": UUID(fields["attempt_id"]) if fields["attempt_id"] else None,
            "price": Price(Decimal(price[0]), price[1]) if price else None,
        }
    )


def _packed_error(provider: str, error: ProviderError) -> dict[str, Any]:
    # All attributes, also those that a subclass adds.
    return {
        **vars(error),
        "kind": WORDS[type(error)],
        "raw": impersonal(provider, "", error.raw),
    }


def _unpacked_error(fields: dict[str, Any]) -> ProviderError:
    error = _ERRORS[fields.pop("kind")](fields["message"])
    vars(error).update(fields)
    if isinstance(error, Blocked):
        error.scope = Scope(error.scope)
    return error
