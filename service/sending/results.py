"""Records the results of calls to providers, or stores them in the inbox."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from service.components import components
from service.database.errors import is_retryable
from service.errors import InboxUnavailable, NotReplicated
from service.recording.answers import Answer, packed
from service.recording.record_answers import record_answers
from service.task_queue.queue import CONSUME_INBOX

# Seconds between two tries while neither the database nor the inbox is available.
_RETRY_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


def record_or_store(answers: Sequence[Answer]) -> None:
    """Record answers; while the database is unavailable, put them into the inbox.

    While both are unavailable the answers are kept here, until their claims expire.
    """
    if not answers:
        return
    until = time.monotonic() + components().settings.claim_lease
    waiting = _store(_not_recorded(answers))
    while waiting and time.monotonic() < until:
        time.sleep(_RETRY_SECONDS)
        waiting = _store(_not_recorded(waiting))
    if waiting:
        _log.error("%d answers are lost: their messages will be in doubt", len(waiting))


def _not_recorded(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Record answers together, or each alone if that fails; return those that failed."""
    try:
        record_answers(answers)
        return ()
    except Exception as error:
        if len(answers) > 1 and not is_retryable(error):
            return [failed for answer in answers for failed in _not_recorded([answer])]
        log = _log.warning if is_retryable(error) else _log.exception
        log("%d answers could not be recorded (%s)", len(answers), type(error).__name__)
        return answers


def _store(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Put answers into the inbox; return those that it refused."""
    for place, answer in enumerate(answers):
        try:
            with suppress(NotReplicated):  # if a failover loses it, a look-up finds the answer
                components().inbox.put(packed(answer))
        except InboxUnavailable as error:
            _log.warning("answers could not be stored in the inbox (%s)", error)
            return answers[place:]
    if answers:
        components().queue.request(CONSUME_INBOX)
    return ()
