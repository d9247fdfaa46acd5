"""Records inbound messages, each once, with the opt-outs and events that follow from them."""

from collections.abc import Sequence
from typing import Any

from service.components import components
from service.database import transaction
from service.domain.keywords import Keyword, keyword_in
from service.domain.message_ids import random_id
from service.inbound.owner import Owner, owners_of
from service.inbound.report import report
from service.opt_outs import change
from service.providers.base import Inbound
from service.queries import inbound
from service.webhooks.owe import owe_received


def record(received: Sequence[Inbound]) -> int:
    """Record messages in one transaction; return how many were new."""
    with transaction():
        owners = zip(received, owners_of(received), strict=True)
        rows = [_row(each, _keyword(each), owner) for each, owner in owners]
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


def _row(received: Inbound, keyword: Keyword | None, owner: Owner) -> dict[str, Any]:
    return {
        "id": random_id(received.received_at),
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
