"""Learns from delivery reports that a provider blocks an account, a sender or a country."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.domain.scope import HoldKind, Scope
from service.domain.status import FAILURES
from service.holds import blocks
from service.holds.key import Key
from service.holds.match import Subject
from service.providers.base import Sender
from service.providers.sandbox import SANDBOX
from service.queries import held_messages, holds
from service.queries.attempts import AttemptRef
from service.queries.held_messages import Sending


def learn_blocks(entries: Iterable[tuple[Any, StatusReport, AttemptRef | None]]) -> None:
    """Open the holds that the error codes of failed messages name.

    An entry is an identity, a report and the attempt that it is about. Part of the transaction that
    records them. Without a failure that has such a code it makes no query.
    """
    codes = dict[UUID, tuple[str, Scope]]()
    for _, report, owner in entries:
        code = report.error_code
        if owner is None or owner.id is None or code is None or report.status not in FAILURES:
            continue
        if scope := _blocked_scope(report.provider, code):
            codes[owner.id] = code, scope
    if codes:
        _open_holds(codes)


def _blocked_scope(provider: str, code: str) -> Scope | None:
    return None if provider == SANDBOX else components().explain(provider, code).blocks


def _open_holds(codes: dict[UUID, tuple[str, Scope]]) -> None:
    by_key = defaultdict[Key, list[tuple[Sending, str]]](list)
    for sending in held_messages.sendings(codes):
        code, scope = codes[sending.attempt_id]
        if (key := _key(sending, scope)) is not None:
            by_key[key].append((sending, code))
    for key in sorted(by_key):  # in the same order everywhere, as a lock
        ended_at = holds.last_end(key, HoldKind.BLOCKED)
        for sending, code in by_key[key]:
            # After the attempt began, the provider accepted another message, or a person decided.
            is_past = ended_at is not None and sending.started_at <= ended_at
            if not is_past and blocks.block(
                key, code, sending.message_id, datetime.now(UTC), reported=True
            ):
                break


def _key(sending: Sending, scope: Scope) -> Key | None:
    """Return the scope of a block; None for a sender that is not known any more."""
    if scope is Scope.ACCOUNT:
        return Key(scope, sending.provider, sending.account)
    if scope is Scope.SENDER and not sending.is_current:
        return None  # another provider took the message over, with its own sender
    sender = Sender(sending.sender, sending.messaging_service_sid).key
    subject = Subject(sending.provider, sending.account, sender, 0, sending.to)
    return Key(scope, sending.provider, sending.account, subject.value(scope))
