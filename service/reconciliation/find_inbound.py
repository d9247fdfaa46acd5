"""Find inbound messages that never arrived, in the lists that the providers keep.

A provider may send a message only once, and lose it if we do not answer within seconds. Each list
is read in windows that overlap; a message that is recorded already is left out.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

from service.components import components
from service.database import transaction
from service.errors import ProviderError, Refused
from service.inbound import record
from service.models import InboundList
from service.observability.metrics import counting
from service.providers.base import Account, Sender
from service.providers.inbound import Inbound, ListQuery
from service.queries import inbound_lists
from service.queries.inbound_lists import ListKey

# A message may appear in the list later than its time says.
_OVERLAP: Final = timedelta(minutes=10)
# A message that is younger may still be on its way to us.
_SETTLING: Final = timedelta(seconds=60)
# Lists and pages that one run reads; a longer list is continued in the next run.
_MAX_LISTS: Final = 10
_MAX_PAGES: Final = 5
# After this time another worker may read the list, which is harmless while a slow provider is read:
# the first sees it and stops. A worker that dies, or loses its database, delays its lists by it.
_LEASE: Final = timedelta(seconds=60)
_one_at_a_time: Final = Lock()

_log = logging.getLogger(__name__)


def find_inbound() -> int:
    """Record inbound messages of the lists that are due; return how many had not arrived."""
    every = components().settings.inbound_list_every
    if not every or not _one_at_a_time.acquire(blocking=False):
        return 0
    try:
        missed, unavailable = 0, set[tuple[str, str]]()
        for leased in _claimed(timedelta(seconds=every)):
            account = (leased.provider, leased.account)
            if account not in unavailable:
                missed += _try_read(leased, timedelta(seconds=every), unavailable)
        return missed
    finally:
        _one_at_a_time.release()


def _claimed(every: timedelta) -> list[InboundList]:
    now = datetime.now(UTC)
    with transaction():
        keys = set(_lists(set(inbound_lists.registered_senders())))
        inbound_lists.add(keys, now, now + every)
        return list(inbound_lists.claim(keys, now, now + _LEASE, _MAX_LISTS))


def _lists(registered: set[str]) -> Iterator[ListKey]:
    """Yield the lists of all accounts.

    A sender of a client that no account has in its settings is listed in the first account of each
    provider: that account sends for it, too.
    """
    accounts = [
        (provider, name, account)
        for provider, each in components().real_providers.items()
        for name, account in each.accounts.items()
    ]
    owned = {
        sender
        for sender in registered
        if any(account.owns(Sender(sender)) for _, _, account in accounts)
    }
    first = {provider: name for provider, name, _ in reversed(accounts)}
    for provider, name, account in accounts:
        others = registered - owned if first[provider] == name else ()
        for sender in account.listed_by(others):
            yield ListKey(provider, name, sender)


def _try_read(leased: InboundList, every: timedelta, unavailable: set[tuple[str, str]]) -> int:
    """Read a list; after an error note its account, and read it in the next interval."""
    name = f"{leased.provider}/{leased.account}"
    try:
        missed = _read(leased, components().account(leased.provider, leased.account), every)
    except ProviderError as error:
        code = error.code or type(error).__name__
        _log.warning("%s did not list inbound messages (%s); next try in %s", name, code, every)
        unavailable.add((leased.provider, leased.account))
        _postpone(leased, every, restart=isinstance(error, Refused))
        return 0
    if missed:
        counting.inbound_missed(leased.provider, missed)
        _log.warning("%s had %d inbound messages that never arrived here", name, missed)
    return missed


def _postpone(leased: InboundList, every: timedelta, *, restart: bool) -> None:
    """Read a list in the next interval, from its beginning if the provider refuses the page."""
    begin: dict[str, None] = {"window_end": None, "page": None} if restart else {}
    with transaction():
        inbound_lists.save(leased, next_at=datetime.now(UTC) + every, **begin)


def _read(leased: InboundList, account: Account, every: timedelta) -> int:
    """Read the next pages of a list; return how many of its messages had not arrived."""
    now, missed = datetime.now(UTC), 0
    until = leased.window_end or now - min(_SETTLING, every / 5)
    since, page = max(leased.read_until - _OVERLAP, _oldest_kept(now)), leased.page
    for _ in range(_MAX_PAGES):
        messages, page = account.list_inbound(ListQuery(leased.sender, since, until, page))
        missed += _record(leased.provider, account, messages)
        if page is None:
            _save(leased, read_until=until, window_end=None, page=None, next_at=now + every)
            return missed
        if not _save(leased, window_end=until, page=page):
            return missed  # another worker reads it now
    _save(leased, next_at=now)
    return missed


def _oldest_kept(now: datetime) -> datetime:
    """Return the time before which messages are deleted: the lists must not bring them back."""
    days = components().settings.keep_messages
    return datetime.min.replace(tzinfo=UTC) if days is None else now - timedelta(days=days)


def _save(leased: InboundList, **progress: datetime | str | None) -> bool:
    with transaction():
        return inbound_lists.save(leased, **progress)


def _record(provider: str, account: Account, messages: Sequence[Inbound]) -> int:
    with transaction():
        arrived = inbound_lists.recorded(provider, {each.provider_sid for each in messages})
    missed = [each for each in messages if each.provider_sid not in arrived]
    return record.record([_with_media(account, each) for each in missed]) if missed else 0


def _with_media(account: Account, received: Inbound) -> Inbound:
    """Return the message with its media, or without: a STOP must not wait for a picture."""
    try:
        return account.with_media(received)
    except ProviderError as error:
        code = error.code or type(error).__name__
        _log.warning("no media of the inbound message %s (%s)", received.provider_sid, code)
        return received
