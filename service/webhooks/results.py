"""Records the results of webhook calls: delivered, due again, or the end of an endpoint."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from service.database import transaction
from service.models import WebhookEndpoint
from service.queries import webhook_deliveries, webhook_endpoints
from service.webhook_client.client import Answer
from service.webhooks import schedule
from service.webhooks.claim import Call

# Statuses of a receiver that as a whole is in trouble: it is left alone for a while.
_OVERLOADED: Final = frozenset({429, 502, 503, 504})
_GONE: Final = 410
_MINUTE: Final = timedelta(minutes=1)


def record_results(results: Sequence[tuple[Call, Answer]]) -> None:
    """Record the results of calls, in one transaction."""
    if not results:
        return
    now = datetime.now(UTC)
    by_endpoint = defaultdict[UUID, list[Answer]](list)
    for call, answer in results:
        by_endpoint[call.endpoint_id].append(answer)
    with transaction():
        webhook_deliveries.write_results([_columns(*result, now) for result in results])
        for endpoint in webhook_endpoints.locked(by_endpoint):
            _note_health(endpoint, by_endpoint[endpoint.id], now)


def succeeded(answer: Answer) -> bool:
    """Tell whether the endpoint has taken the event."""
    return answer.status is not None and 200 <= answer.status < 300


def _columns(call: Call, answer: Answer, now: datetime) -> dict[str, Any]:
    done = succeeded(answer)
    delay = None if done else schedule.next_delay(call.attempts)
    if delay is not None and answer.retry_after is not None:
        wanted = min(timedelta(seconds=answer.retry_after), schedule.LONGEST_RETRY_AFTER)
        delay = max(delay, wanted)
    return {
        "key": call.delivery_id,
        "due_at": None if delay is None else now + delay,
        "answer_status": answer.status,
        "error": answer.error,
        "delivered_at": now if done else None,
    }


def _note_health(endpoint: WebhookEndpoint, answers: Sequence[Answer], now: datetime) -> None:
    """Note that an endpoint works or fails; disable it if it is gone or has failed for days."""
    failed = [answer for answer in answers if not succeeded(answer)]
    if len(failed) < len(answers):
        if endpoint.succeeded_at is None or now - endpoint.succeeded_at > _MINUTE:
            endpoint.succeeded_at = now
        endpoint.failures, endpoint.failing_since, endpoint.retry_at = 0, None, None
        return
    endpoint.failures += len(failed)
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.retry_at = _retry_at(endpoint, failed, now)
    if any(answer.status == _GONE for answer in failed):
        _disable(endpoint, "gone", now)
    elif now - endpoint.failing_since > schedule.PATIENCE:
        _disable(endpoint, "failing", now)


def _retry_at(
    endpoint: WebhookEndpoint, failed: Sequence[Answer], now: datetime
) -> datetime | None:
    """Return until when to leave an endpoint alone; None if only single events failed."""
    if not any(answer.status is None or answer.status in _OVERLOADED for answer in failed):
        return None
    asked = max(answer.retry_after or 0.0 for answer in failed)
    wanted = min(timedelta(seconds=asked), schedule.LONGEST_RETRY_AFTER)
    return now + max(wanted, schedule.pause(endpoint.failures))


def _disable(endpoint: WebhookEndpoint, reason: str, now: datetime) -> None:
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = now, reason
