"""Records inbound messages, each once, with the opt-outs and events that follow from them."""

from collections.abc import Sequence
from typing import Any

from uuid_utils.compat import uuid7

from service.components import components
from service.database import transaction
from service.domain.keywords import Keyword, keyword_in
from service.inbound.owner import owner_of
from service.inbound.report import report
from service.opt_outs import change
from service.providers.base import Inbound
from service.queries import inbound
from service.webhooks.owe import owe_received


def record(received: Sequence[Inbound]) -> int:
    """Record messages in one transaction; return how many were new."""
    with transaction():
        rows = [_row(each, _keyword(each)) for each in received]
        new = inbound.insert(rows)
        pairs = zip(rows, received, strict=True)
        fresh = [(each, row["keyword"]) for row, each in pairs if row["id"] in new]
        change.from_keywords(fresh)
        owe_received(new)
    report(rows, new)
    return len(new)


def _keyword(received: Inbound) -> Keyword | None:
    """Return the meaning of a message: the provider's, else ours."""
    return received.keyword or keyword_in(received.body, components().settings.opt_out_words)


def _row(received: Inbound, keyword: Keyword | None) -> dict[str, Any]:
    owner = owner_of(received)
    return {
        "id": uuid7(),
        "provider": received.provider,
        "account": received.account,
        "provider_sid": received.provider_sid,
        "from_address": received.from_address,
        "to_address": received.to_address,
        "messaging_service_sid": received.messaging_service_sid,
        "body": received.body,
        "media": [dict(each) for each in received.media],
        "keyword": keyword,
        "raw": dict(received.raw),
        "client_id": owner.client_id,
        "in_reply_to": owner.in_reply_to,
        "received_at": received.received_at,
        "provider_time": received.provider_time,
        "redacted_at": None,
    }
