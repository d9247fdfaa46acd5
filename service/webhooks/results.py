"""Records the results of webhook calls: delivered, due again, or the end of an endpoint."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.database import transaction
from service.database.errors import is_retryable
from service.models import WebhookEndpoint
from service.observability import events
from service.observability.metrics import counting
from service.queries import webhook_deliveries, webhook_endpoints
from service.webhook_client.client import Answer
from service.webhooks import schedule
from service.webhooks.claim import Call

# Statuses of a receiver that as a whole is in trouble: it is left alone for a while.
_OVERLOADED: Final = frozenset({429, 502, 503, 504})
_GONE: Final = 410
_MINUTE: Final = timedelta(minutes=1)
# Seconds between two tries while the database is unavailable, and for how long.
_RETRY_SECONDS: Final = 0.5
_KEEP_SECONDS: Final = 20.0

_log = logging.getLogger(__name__)


class Result(NamedTuple):
    """A call and what came of it."""

    call: Call
    answer: Answer
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Tell whether the endpoint has taken the event."""
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def blames_endpoint(self) -> bool:
        """Tell whether any other event would have failed as well."""
        return self.answer.status is None or self.answer.status in _OVERLOADED


def record_or_drop(results: Sequence[Result]) -> None:
    """Record results. Without the database they are kept for 20 s: then the calls are repeated."""
    until = time.monotonic() + _KEEP_SECONDS
    while results := _not_recorded(results):
        if time.monotonic() > until:
            _log.error("%d results of webhook calls are lost: they are repeated", len(results))
            return
        time.sleep(_RETRY_SECONDS)


def _not_recorded(results: Sequence[Result]) -> Sequence[Result]:
    """Record results together, or each alone if that fails; return those to try again."""
    try:
        record_results(results)
        return ()
    except Exception as error:
        if is_retryable(error):
            _log.warning("%d results not recorded (%s)", len(results), type(error).__name__)
            return results
        if len(results) == 1:
            _log.exception("the result of a webhook call cannot be recorded")
            return ()
        return [failed for result in results for failed in _not_recorded([result])]


def record_results(results: Sequence[Result]) -> None:
    """Record the results of calls, in one transaction."""
    if not results:
        return
    now = datetime.now(UTC)
    rows = [_columns(result, now) for result in results]
    changing = _with_new_health(results, now)
    with transaction():
        # Endpoints are locked before deliveries, as in a claim: no two transactions can deadlock.
        locked = webhook_endpoints.locked(changing) if changing else ()
        webhook_deliveries.write_results(rows)
        disabled = [each for each in locked if _note_health(each, changing[each.id], now)]
    for result, row in zip(results, rows, strict=True):
        _announce(result, row["due_at"], now)
    for endpoint in disabled:
        events.webhook_endpoint_disabled(endpoint)
        counting.webhook_endpoint_disabled(endpoint.disabled_reason or "")


def _columns(result: Result, now: datetime) -> dict[str, Any]:
    call, answer = result.call, result.answer
    delay = None if result.succeeded else schedule.next_delay(call.attempts, answer.retry_after)
    return {
        "key": call.delivery_id,
        "attempts": call.attempts,
        "due_at": None if delay is None else now + delay,
        "answer_status": answer.status,
        # PostgreSQL stores no NUL.
        "error": answer.error and answer.error.replace("\0", "")[:200],
        "delivered_at": now if result.succeeded else None,
    }


def _announce(result: Result, due_at: datetime | None, now: datetime) -> None:
    outcome = "delivered" if result.succeeded else "retry" if due_at else "failed"
    events.webhook_called(
        outcome,
        result.answer.status,
        event_id=result.call.event_id,
        endpoint_id=result.call.endpoint_id,
        message_id=result.call.message_id,
        attempt=result.call.attempts,
    )
    waited = (now - result.call.owed_since).total_seconds()
    counting.webhook_called(outcome, result.seconds, waited)


def _with_new_health(results: Sequence[Result], now: datetime) -> Mapping[UUID, list[Result]]:
    """Return the results by endpoint, without endpoints that work and did a minute ago."""
    by_endpoint = defaultdict[UUID, list[Result]](list)
    for result in results:
        by_endpoint[result.call.endpoint_id].append(result)
    return {id_: each for id_, each in by_endpoint.items() if _is_new(each, now)}


def _is_new(results: Sequence[Result], now: datetime) -> bool:
    noted = [call.succeeded_at for call, _, _ in results if call.succeeded_at is not None]
    return (
        not all(result.succeeded for result in results)
        or any(result.call.is_probe for result in results)
        or not noted
        or now - max(noted) > _MINUTE
    )


def _note_health(endpoint: WebhookEndpoint, results: Sequence[Result], now: datetime) -> bool:
    """Note that an endpoint works or fails; return whether it is disabled now."""
    current = [result for result in results if result.call.url == endpoint.url]
    if endpoint.disabled_at is not None or not current:
        return False
    if any(result.answer.status == _GONE for result in current):
        return _disable(endpoint, "gone", now)
    if any(result.succeeded for result in current):
        endpoint.succeeded_at = now
        endpoint.failures, endpoint.failing_since, endpoint.retry_at = 0, None, None
        return False
    if endpoint.failing_since is not None and not any(each.call.is_probe for each in current):
        return False  # a call that began before the endpoint was known to fail
    return _note_failure(endpoint, current, now)


def _note_failure(endpoint: WebhookEndpoint, results: Sequence[Result], now: datetime) -> bool:
    """Pause an endpoint, unless only single events have failed; disable it after days.

    Calls that failed together count once. One event that the endpoint never takes fails ten times:
    it neither pauses nor disables the endpoint.
    """
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.retry_at = None
    if endpoint.failures > schedule.MOST_ATTEMPTS or any(
        result.blames_endpoint for result in results
    ):
        retry_after = max(result.answer.retry_after or 0.0 for result in results)
        endpoint.retry_at = now + schedule.pause(endpoint.failures, retry_after)
    lasting = now - endpoint.failing_since > schedule.DISABLE_AFTER
    if lasting and endpoint.failures > schedule.DISABLE_FAILURES:
        return _disable(endpoint, "failing", now)
    return False


def _disable(endpoint: WebhookEndpoint, reason: str, now: datetime) -> bool:
    endpoint.disabled_at, endpoint.disabled_reason = now, reason
    return True
