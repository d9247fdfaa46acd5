"""The Celery tasks: each makes one call."""

from celery import shared_task

from service.inbound import adopt as inbound
from service.operations import ledger_partitions
from service.privacy import purge
from service.privacy import redact as redacting
from service.reconciliation import find_inbound as finding
from service.reconciliation import poll
from service.recording import consume_inbox as inbox
from service.recording import record, return_to_inbox
from service.sending import claim, expiry
from service.sending import deliver as sending
from service.task_queue import queue
from service.webhooks import deliver as webhooks


@shared_task(name=queue.DELIVER)
def deliver() -> None:
    """Send due messages to their providers."""
    sending.deliver()


@shared_task(name=queue.CONSUME_INBOX)
def consume_inbox() -> None:
    """Record the callbacks in the inbox."""
    inbox.consume_inbox()


@shared_task(name=queue.NOTIFY)
def notify() -> None:
    """Deliver events to the webhook endpoints of clients."""
    webhooks.deliver()


@shared_task(name=queue.EXPIRE_CLAIMS)
def expire_claims() -> None:
    """Mark messages whose worker died as in doubt."""
    claim.expire_claims()


@shared_task(name=queue.EXPIRE_MESSAGES)
def expire_messages() -> None:
    """Expire messages past their deadline."""
    expiry.expire_due()


@shared_task(name=queue.RECONCILE)
def reconcile() -> None:
    """Ask the provider about messages in doubt and about silent ones."""
    poll.reconcile_due()


@shared_task(name=queue.FIND_INBOUND)
def find_inbound() -> None:
    """Record inbound messages that only the lists of the providers have."""
    finding.find_inbound()


@shared_task(name=queue.ADOPT_ORPHANS)
def adopt_orphans() -> None:
    """Add orphaned reports to messages whose SID is known now, and inbound messages to clients."""
    record.adopt_orphans()
    inbound.adopt()


@shared_task(name=queue.DRAIN_OVERFLOW)
def drain_overflow() -> None:
    """Return callbacks from the overflow table to the inbox, and sweep its streams."""
    return_to_inbox.drain_overflow()
    inbox.sweep_inbox()


@shared_task(name=queue.REDACT)
def redact() -> None:
    """Redact messages that ended long enough ago."""
    redacting.redact()


@shared_task(name=queue.DELETE_OLD)
def delete_old() -> None:
    """Delete messages, orphans and dead letters past their retention."""
    purge.delete_old()


@shared_task(name=queue.PARTITION_LEDGER)
def partition_ledger() -> None:
    """Make months of the ledger ahead, and drop old ones."""
    ledger_partitions.maintain()
