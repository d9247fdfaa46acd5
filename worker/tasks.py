"""A table of contents: what runs, on which queue, and the one call that does it."""

from celery import shared_task

from service.privacy import purge
from service.privacy import redact as redacting
from service.reconciliation import poll
from service.recording import consume_inbox, record
from service.sending import claim, expiry
from service.sending import deliver as sending
from service.task_queue import queue


@shared_task(name=queue.DELIVER)
def deliver(_role: str = "") -> None:
    """Hand due messages to their providers."""
    sending.deliver()


@shared_task(name=queue.DRAIN)
def drain(role: str = "") -> None:
    """Record the callbacks in the inbox."""
    consume_inbox.drain(role)


@shared_task(name=queue.EXPIRE_CLAIMS)
def expire_claims() -> None:
    """Put messages in doubt whose worker died."""
    claim.expire_claims()


@shared_task(name=queue.EXPIRE_MESSAGES)
def expire_messages() -> None:
    """Expire messages that wait past their deadline."""
    expiry.expire_due()


@shared_task(name=queue.RECONCILE)
def reconcile() -> None:
    """Ask the provider about messages in doubt, and about those silent for long."""
    poll.reconcile_due()


@shared_task(name=queue.ADOPT_ORPHANS)
def adopt_orphans() -> None:
    """Give reports to messages whose SID became known since."""
    record.adopt_orphans()


@shared_task(name=queue.DRAIN_OVERFLOW)
def drain_overflow() -> None:
    """Return callbacks to the inbox that it could not take."""
    consume_inbox.drain_overflow()
    consume_inbox.remove_idle_consumers()


@shared_task(name=queue.REDACT)
def redact() -> None:
    """Take text and media out of messages that ended long enough ago."""
    redacting.redact()


@shared_task(name=queue.DELETE_OLD)
def delete_old() -> None:
    """Delete messages, orphans and dead letters that were kept long enough."""
    purge.delete_old()
