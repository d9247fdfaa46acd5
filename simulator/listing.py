"""The list of messages, sent and inbound: filters and pages.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from heapq import merge
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from simulator.accounts import Account
from simulator.error_codes import ApiError
from simulator.form import Form, last_value
from simulator.inbound.message import InboundMessage
from simulator.inbound.twilio import inbound_resource
from simulator.message import Message
from simulator.records import Records
from simulator.resource import API_VERSION, to_resource

_DEFAULT_PAGE_SIZE: Final = 50
_MAX_PAGE_SIZE: Final = 1_000
_FILTERS: Final = ("To", "From", "DateSent", "DateSent<", "DateSent>")
# A page token is this and the position of the last message shown: new messages do not shift pages.
_PAGE_PREFIX: Final = "PA"

Listed = Message | InboundMessage
Test = Callable[[Listed], bool]


def list_page(records: Records, account: Account, query: Form) -> dict[str, object]:
    """Return one page, newest first. Raises ApiError."""
    size = min(max(_integer(query, "PageSize", _DEFAULT_PAGE_SIZE), 1), _MAX_PAGE_SIZE)
    number = _integer(query, "Page", 0)
    messages = list(islice(_matching(records, account, query), size + 1))
    page = messages[:size]
    uri = f"/{API_VERSION}/Accounts/{account.id}/Messages.json?"
    filters = {name: value for name in _FILTERS if (value := last_value(query, name))}
    here = uri + urlencode(filters | {"PageSize": size})
    next_page = {
        "Page": number + 1,
        "PageToken": f"{_PAGE_PREFIX}{page[-1].position}" if page else "",
    }
    return {
        "messages": [_resource(message) for message in page],
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(len(page) - 1, 0),
        "uri": f"{here}&Page={number}",
        "first_page_uri": f"{here}&Page=0",
        "previous_page_uri": None,
        "next_page_uri": f"{here}&{urlencode(next_page)}" if len(messages) > size else None,
    }


def _resource(message: Listed) -> dict[str, object]:
    if isinstance(message, InboundMessage):
        return inbound_resource(message)
    return to_resource(message)


def _matching(records: Records, account: Account, query: Form) -> Iterator[Listed]:
    tests, to = list(_tests(query)), last_value(query, "To")
    sources: tuple[Iterator[Listed], ...] = (
        records.newest_first(to),
        records.inbound.newest_first(to),
    )
    return (
        message
        for message in merge(*sources, key=lambda each: each.position, reverse=True)
        if message.account is account
        and not message.deleted
        and all(test(message) for test in tests)
    )


def _tests(query: Form) -> Iterator[Test]:
    if token := last_value(query, "PageToken"):
        before = _token_number(token)
        yield lambda message: message.position < before
    if sender := last_value(query, "From"):
        yield lambda message: message.sender == sender
    if text := last_value(query, "DateSent"):
        yield _sent(text[:10], lambda sent, day: sent == day)
    if text := last_value(query, "DateSent<"):
        yield _sent(text, lambda sent, limit: sent <= limit)
    if text := last_value(query, "DateSent>"):
        yield _sent(text, lambda sent, limit: sent >= limit)


def _sent(text: str, compare: Callable[[date, date], bool]) -> Test:
    """Compare by day, or by second if the text has a time. Unsent messages never match."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(20001, f"Invalid DateSent: {text}") from None
    if len(text) == len("YYYY-MM-DD"):
        day = moment.date()
        return lambda message: bool(message.sent_at) and compare(_day(message), day)
    limit = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return lambda message: bool(message.sent_at) and compare(_second(message), limit)


def _day(message: Listed) -> date:
    return _second(message).date()


def _second(message: Listed) -> datetime:
    assert message.sent_at is not None
    return message.sent_at.replace(microsecond=0)


def _token_number(token: str) -> int:
    number = token.removeprefix(_PAGE_PREFIX)
    if not number.isdecimal():
        raise ApiError(20001, f"Invalid PageToken: {token}")
    return int(number)


def _integer(query: Form, name: str, default: int) -> int:
    text = last_value(query, name)
    return int(text) if text and text.isdecimal() else default
