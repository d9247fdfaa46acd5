"""`make mutations`: take each guard away in turn; the test that names it must turn red.

A guard whose absence no test notices is a comment. Every mutation is made in a copy.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple


class Mutation(NamedTuple):
    """A guard, the text that is it, what stands there without it, and the test that notices."""

    guard: str
    file: str
    text: str
    without: str
    test: str


MUTATIONS: Final = (
    Mutation(
        "only a pending message is claimed",
        "service/queries/messages.py",
        ".where(any_of(Message.id, list(due)), Message.status == Status.PENDING)",
        ".where(any_of(Message.id, list(due)))",
        "tests/service/sending/test_deliver.py::test_an_unknown_outcome_is_in_doubt_and_never_sent_again",
    ),
    Mutation(
        "a batch of posts is stored whole or not at all",
        "service/sending/accept.py",
        "with single_write() if len(rows) == 1 else transaction():",
        "with single_write():",
        "tests/service/web/api/test_messages_batch.py"
        "::test_a_batch_that_cannot_be_answered_is_not_stored_by_half",
    ),
    Mutation(
        "urgent messages go first",
        "service/queries/due.py",
        "    for priority, clients in _lanes(now).items():\n",
        "    for priority, clients in reversed(_lanes(now).items()):\n",
        "tests/service/sending/test_claim.py::test_an_urgent_message_goes_before_everything_that_waits",
    ),
    Mutation(
        "every client that waits has its share",
        "service/queries/due.py",
        "        share = ceil(rest / len(turn))\n",
        "        share = rest\n",
        "tests/service/sending/test_claim.py::test_a_bulk_job_delays_no_single_message_of_another_client",
    ),
    Mutation(
        "what waits for its sender has used no attempt",
        "service/sending/claim.py",
        "        attempts=message.attempts - 1,\n",
        "        attempts=message.attempts,\n",
        "tests/service/sending/test_claim.py"
        "::test_what_is_too_fast_for_its_sender_waits_without_an_attempt_and_without_a_line",
    ),
    Mutation(
        "no call begins after its lease",
        "service/sending/deliver.py",
        "    if one.is_over:\n",
        "    if False:\n",
        "tests/service/sending/test_deliver.py::test_a_worker_that_slept_through_its_lease_makes_no_call",
    ),
    Mutation(
        "a test reaches no carrier",
        "service/web/api/messages.py",
        "        return replace(drafted, provider=SANDBOX) if caller.test else drafted\n",
        "        return drafted\n",
        "tests/service/web/api/test_messages_of_test_keys.py",
    ),
    Mutation(
        "a test has a client of its own",
        "service/queries/clients.py",
        "Client.name == name, Client.test.is_(test)",
        "Client.name == name",
        "tests/service/web/api/test_messages_of_test_keys.py",
    ),
    Mutation(
        "one idempotency key, one message",
        "service/queries/messages.py",
        ".on_conflict_do_nothing(index_elements=key)",
        "",
        "tests/service/web/api/test_messages_idempotency.py",
    ),
    Mutation(
        "one statement, one event",
        "service/queries/ledger.py",
        "    said = statement.excluded\n",
        "    return statement.returning(StatusEvent.identity, StatusEvent.repeats)\n",
        "tests/service/recording/test_record.py::test_each_statement_is_written_once_and_repeats_are_counted",
    ),
    Mutation(
        "rows are locked in one order",
        "service/queries/ledger.py",
        ".order_by(Message.id).with_for_update()",
        ".order_by(__import__('sqlalchemy').func.random()).with_for_update()",
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "rows are locked before they are joined",
        "service/queries/ledger.py",
        ".order_by(Message.id).with_for_update()",
        ".order_by(Message.id)",
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "message before attempt",
        "service/sending/results.py",
        "        rows = ledger.lock_outcomes(answer.message_id for answer in answers)\n",
        "        attempts.answer([_answered(answer, {}) for answer in answers])\n"
        "        rows = ledger.lock_outcomes(answer.message_id for answer in answers)\n",
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "acknowledge after the commit",
        "service/recording/isolation.py",
        "            try:\n                _record_together(",
        "            if self._inbox: self._inbox.ack(piece)\n"
        "            try:\n                _record_together(",
        "tests/service/recording/test_consume_inbox.py::test_a_database_that_fails_leaves_the_batch_in_the_inbox",
    ),
    Mutation(
        "what passes makes no dead letter",
        "service/recording/isolation.py",
        "if is_transient(error) or (",
        "if (",
        "tests/service/recording/test_isolation.py::test_a_lost_connection_is_nobodys_fault",
    ),
    Mutation(
        "a claim with its answer in the inbox does not end in doubt",
        "service/sending/claim.py",
        "messages.expired_claims(recorded_until, limit)",
        "messages.expired_claims(now, limit)",
        "tests/service/recording/test_answers.py::test_no_claim_ends_in_doubt_while_its_answer_waits",
    ),
    Mutation(
        "two sweeps do not return the same callback",
        "service/queries/callbacks.py",
        "limit(limit).with_for_update(skip_locked=True)",
        "limit(limit)",
        "tests/service/recording/test_consume_inbox.py::test_concurrent_sweeps_return_each_callback_once",
    ),
    Mutation(
        "a callback behind many posts waits once",
        "service/web/thread_limit.py",
        "                    self._stalled = True\n",
        "                    return False\n",
        "tests/service/web/test_thread_limit.py",
    ),
    Mutation(
        "only the drain that set the flag takes it away",
        "service/recording/consume_inbox.py",
        "return _work(until, _next_batch)[0]",
        "return _work(until, _last_batch)[0]",
        "tests/service/recording/test_consume_inbox.py::test_a_drain_that_helped_leaves_the_one_that_it_helped_awake",
    ),
    Mutation(
        "an unknown outcome is not a refusal to accept",
        "service/providers/http.py",
        '        raise OutcomeUnknown(f"no answer ({reason})") from error\n',
        '        raise NotAccepted(f"no answer ({reason})") from error\n',
        "tests/test_path.py",
    ),
    Mutation(
        "only the stronger statement is shown",
        "service/domain/outcome.py",
        "shown, other = (a, b) if rank_a >= rank_b else (b, a)",
        "shown, other = b, a",
        "tests/service/domain/test_outcome.py",
    ),
    Mutation(
        "what the provider did not sign is refused",
        "service/providers/twilio/signature.py",
        '    raise Forged("mismatch")\n',
        "    return 'anybody'\n",
        "tests/service/web/test_callbacks.py",
    ),
    Mutation(
        "what was signed is the body",
        "service/providers/sinch/signature.py",
        "    if not _any_equal(made, presented):\n",
        "    if not made:\n",
        "tests/service/providers/test_base.py",
    ),
    Mutation(
        "what is not signed does not say whose a report is",
        "service/providers/sinch/reports.py",
        "_attempt(fields), callback.received_at",
        "as_uuid(callback.attempt), callback.received_at",
        "tests/service/providers/test_base.py",
    ),
    Mutation(
        "a find under our own id is proof",
        "service/reconciliation/look_up.py",
        "    if certain or comparable:\n",
        "    if comparable:\n",
        "tests/service/reconciliation/test_poll.py",
    ),
    Mutation(
        "a SID is an acceptance, whatever the word",
        "service/domain/outcome.py",
        "return _acceptance(report, attempt) if report.provider_sid else None",
        "return None",
        "tests/service/sending/test_unknown_words.py",
    ),
    Mutation(
        "a message that has a SID is not sent again",
        "service/queries/reconciliation.py",
        "            ~exists().where(Attempt.message_id == message_id, "
        "Attempt.provider_sid.is_not(None)),\n",
        "",
        "tests/service/sending/test_unknown_words.py",
    ),
    Mutation(
        "a template is never decided by a comparison",
        "service/reconciliation/look_up.py",
        " and message.content_sid is None\n",
        "\n",
        "tests/service/reconciliation/test_look_up.py",
    ),
    Mutation(
        "a SID is bound to one message",
        "service/reconciliation/resolve.py",
        "        if sid is not None:\n            _raise_if_bound(message, sid)\n",
        "",
        "tests/service/reconciliation/test_look_up.py",
    ),
    Mutation(
        "what opens a connection is no request",
        "service/providers/connections.py",
        "        if not self._connecting:\n",
        "        if True:\n",
        "tests/service/providers/test_connections.py",
    ),
    Mutation(
        "a connection that rested is not used",
        "service/providers/connections.py",
        "            conn.close()\n        return conn\n",
        "            pass\n        return conn\n",
        "tests/service/providers/test_connections.py",
    ),
    Mutation(
        "without a session no page of operators is shown",
        "service/web/ops/login.py",
        "        if current is None:\n            return redirect",
        "        if current is None and request.path is None:\n            return redirect",
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "a session that ended opens no page",
        "service/queries/operators.py",
        "        OperatorSession.ended_at.is_(None),\n",
        "",
        "tests/service/web/ops/test_sessions.py",
    ),
    Mutation(
        "a message past its deadline is not sent",
        "service/sending/expiry.py",
        "message.expires_at is not None and now >= message.expires_at",
        "False",
        "tests/service/web/api/test_messages_expiry.py",
    ),
    Mutation(
        "a message does not expire where an earlier attempt may have been sent",
        "service/sending/expiry.py",
        "sent=message.id in doubtful",
        "sent=False",
        "tests/service/web/api/test_messages_expiry.py",
    ),
    Mutation(
        "digests of requests are keyed",
        "service/sending/idempotency.py",
        "    return hmac.digest(key, request_digest, hashlib.sha256)\n",
        "    return request_digest\n",
        "tests/service/privacy/test_erase_everywhere.py",
    ),
    Mutation(
        "a form of another site does nothing",
        "service/web/ops/login.py",
        "    csrf.protect()\n",
        "",
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "a log-in leads nowhere else",
        "service/web/ops/login.py",
        "not path.startswith(overview)",
        "not path",
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "only what is in doubt is decided by a person",
        "service/reconciliation/resolve.py",
        "    if message.status is not Status.IN_DOUBT:\n",
        "    if message.status is None:\n",
        "tests/service/web/ops/test_messages.py",
    ),
    Mutation(
        "what is typed as a SID reaches no provider unless it may be one",
        "service/web/ops/actions.py",
        "    if not (sid.isascii() and sid.isalnum() and len(sid) <= _MAX_SID):\n",
        "    if sid is None:\n",
        "tests/service/web/ops/test_messages.py",
    ),
    Mutation(
        "a number that a library logs is masked",
        "service/observability/logging.py",
        "        return mask(value)\n",
        "        return value\n",
        "tests/test_secrets.py",
    ),
    Mutation(
        "an exception's words are not in the line of a failed task",
        "service/observability/logging.py",
        "            _drop_exception_text(record)\n",
        "",
        "tests/test_secrets.py",
    ),
    Mutation(
        "a report of an error is made anew",
        "service/observability/sentry.py",
        "        before_send=scrubbed,",
        "",
        "tests/service/observability/test_sentry.py",
    ),
    Mutation(
        "a stranger does not choose what a request is called in the log",
        "service/web/request_id.py",
        "given if _ACCEPTABLE.fullmatch(given) else uuid4().hex",
        "given or uuid4().hex",
        "tests/service/web/test_request_id.py",
    ),
    Mutation(
        "a request's name does not stick to its thread",
        "service/web/request_id.py",
        "    clear_contextvars()",
        "    get_contextvars()",
        "tests/service/web/test_request_id.py",
    ),
    Mutation(
        "a forged callback chooses no words of the log",
        "service/observability/events.py",
        "    attempt_id = _parse_uuid(attempt)\n",
        "    attempt_id = attempt\n",
        "tests/service/observability/test_events.py",
    ),
    Mutation(
        "a share of the messages is traced, and each of them whole",
        "service/observability/tracing/spans.py",
        "should_sample(None, message_id.int << 2,",
        "should_sample(None, message_id.int,",
        "tests/service/observability/tracing/test_traces.py",
    ),
    Mutation(
        "the provider is not asked about who opted out",
        "service/sending/claim.py",
        "sparing.spare([one for one, _ in due], now)",
        "[one for one, _ in due]",
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "a crowd that opted out holds up nobody",
        "service/sending/claim.py",
        "        if len(more) == looked_at:  # nothing is due any more, or every line is taken\n",
        "        if True:\n",
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "a late delivery does not end an opt-out",
        "service/queries/opt_outs.py",
        ", sent > OptOut.since)",
        ")",
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "what comes late is recorded without what was taken out",
        "service/recording/record.py",
        "    redacting.hide(events, rows)\n",
        "",
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "a late report is folded without its quotes",
        "service/privacy/redact.py",
        "report._replace(error_message=None) if _is_redacted(row) else report",
        "report",
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "an adopted orphan loses its text",
        "service/recording/record.py",
        "    redacting.hide_adopted(adopted, rows)\n",
        "",
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "what is under way is not deleted",
        "service/queries/retention.py",
        "            or_(Message.final_at < before, Message.unknown_since < before),\n",
        "",
        "tests/service/privacy/test_purge.py",
    ),
    Mutation(
        "a longer number is not mistaken for the one to be forgotten",
        "service/privacy/number_pattern.py",
        '_END: Final = r"(?!\\d)"',
        '_END: Final = ""',
        "tests/service/privacy/test_erase.py",
    ),
)


def main() -> int:
    """Return the exit status: 0 when every mutation was noticed."""
    unnoticed = [one.guard for one in MUTATIONS if not _noticed(one)]
    print(f"{len(MUTATIONS) - len(unnoticed)} noticed, {len(unnoticed)} not")
    return 1 if unnoticed else 0


def _noticed(mutation: Mutation) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        copy = Path(place) / "copy"
        shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache"))
        target = copy / mutation.file
        source = target.read_text()
        if source.count(mutation.text) != 1:
            raise RuntimeError(f"{mutation.file} does not hold the guard: {mutation.guard}")
        target.write_text(source.replace(mutation.text, mutation.without))
        command = [sys.executable, "-m", "pytest", "-q", "-x", mutation.test]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    # 1: tests ran and failed. Anything else would be a slip in this file.
    noticed = done.returncode == 1
    red = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    print(f"{'red  ' if noticed else 'GREEN'}  {mutation.guard}\n         {(red or [''])[0][:150]}")
    return noticed


if __name__ == "__main__":
    sys.exit(main())
