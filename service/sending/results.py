"""Records the results of calls to providers, or stores them in the inbox until they can be."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from service.components import components
from service.database.errors import is_retryable
from service.errors import InboxUnavailable
from service.recording.answers import Answer, packed
from service.recording.record_answers import record_answers
from service.task_queue.queue import CONSUME_INBOX

# Between two tries, while neither the database nor the inbox takes an answer.
_PAUSE: Final = 0.5

_log = logging.getLogger(__name__)


def record_or_store(answers: Sequence[Answer]) -> None:
    """Record answers; what the database does not take goes into the inbox, and is recorded later.

    While both are away the answers are held here, until their claims are over.
    """
    until = time.monotonic() + components().settings.claim_lease
    waiting = _store(_unsettled(answers))
    while waiting and time.monotonic() < until:
        time.sleep(_PAUSE)
        waiting = _store(_unsettled(waiting))
    if waiting:
        _log.error("%d answers are lost; their messages will be in doubt", len(waiting))


def _unsettled(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Record answers together, or each alone when one of them cannot be; return the others."""
    if not answers:
        return ()
    try:
        record_answers(answers)
        return ()
    except Exception as error:
        if len(answers) > 1 and not is_retryable(error):
            return [left for answer in answers for left in _unsettled([answer])]
        log = _log.warning if is_retryable(error) else _log.exception
        log("%d answers are not recorded (%s)", len(answers), type(error).__name__)
        return answers


def _store(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Put answers into the inbox; return those that it did not take."""
    for place, answer in enumerate(answers):
        try:
            components().inbox.put(packed(answer))
        except InboxUnavailable as error:
            _log.warning("the inbox takes no answers either (%s)", error)
            return answers[place:]
    if answers:
        components().queue.request(CONSUME_INBOX)
    return ()
