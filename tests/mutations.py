"""`make mutations`: remove each guard in a copy of the source; the named test must fail."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.source_changes import (
    Change,
    insert_before,
    remove,
    remove_call,
    remove_keyword,
    replace,
)


class Mutation(NamedTuple):
    """A guard, the function that holds it, the change that removes it, and the test that fails."""

    guard: str
    module: str
    function: str | None  # qualified, such as `Isolation.record`; None for the module itself
    change: Change
    test: str

    @property
    def path(self) -> Path:
        """Return the path of the module's source."""
        return Path(*self.module.split(".")).with_suffix(".py")

    def source_without_guard(self) -> str:
        """Return the module without the guard. Raises LookupError when the change does not fit."""
        try:
            return self.change.applied(self.path.read_text(), self.function)
        except (LookupError, OSError) as error:
            raise LookupError(f"{self.guard}: {self.module}: {error}") from error


MUTATIONS: Final = (
    Mutation(
        "only a pending message is claimed",
        "service.queries.messages",
        "claim",
        remove("Message.status == Status.PENDING"),
        "tests/service/sending/test_deliver.py"
        "::test_unknown_outcome_is_in_doubt_and_not_sent_again",
    ),
    Mutation(
        "a batch is stored as a whole",
        "service.sending.accept",
        "accept",
        replace("transaction()", "single_write()"),
        "tests/service/web/api/test_messages_batch.py::test_batch_is_stored_in_one_transaction",
    ),
    Mutation(
        "urgent messages go first",
        "service.queries.due",
        "next_due",
        replace("_.items()", "reversed(_.items())"),
        "tests/service/sending/test_claim.py::test_urgent_message_is_claimed_first",
    ),
    Mutation(
        "every waiting client gets an equal share",
        "service.queries.due",
        "_shares",
        replace("ceil(_ / len(...))", "_"),
        "tests/service/sending/test_claim.py::test_bulk_job_does_not_delay_other_clients",
    ),
    Mutation(
        "waiting for a sender's rate limit uses no attempt",
        "service.queries.messages",
        "leave_without_attempt",
        replace("Message.attempts - 1", "Message.attempts"),
        "tests/service/sending/test_claim.py"
        "::test_message_over_the_sender_rate_waits_without_attempt",
    ),
    Mutation(
        "no call begins after the claim's lease",
        "service.sending.deliver",
        "_call",
        replace("_.is_over", "False"),
        "tests/service/sending/test_deliver.py::test_no_call_begins_after_the_lease",
    ),
    Mutation(
        "a message of a test key reaches no provider",
        "service.web.api.messages",
        "_checked",
        replace("replace(new, provider=_, account=_, provider_fixed=_)", "new"),
        "tests/service/web/api/test_messages_of_test_keys.py",
    ),
    Mutation(
        "a test key has its own client",
        "service.queries.clients",
        "ensure",
        remove("Client.test.is_(test)"),
        "tests/service/web/api/test_messages_of_test_keys.py",
    ),
    Mutation(
        "one idempotency key, one message",
        "service.queries.messages",
        "_unless_taken",
        remove_call("on_conflict_do_nothing"),
        "tests/service/web/api/test_messages_idempotency.py",
    ),
    Mutation(
        "one distinct report, one ledger event",
        "service.queries.ledger",
        "_once",
        remove_call("on_conflict_do_update"),
        "tests/service/recording/test_record.py::test_equal_reports_are_one_event_with_repeats",
    ),
    Mutation(
        "rows are locked in one order",
        "service.queries.ledger",
        "lock_outcomes",
        replace("_.order_by(Message.id)", "_.order_by(__import__('sqlalchemy').func.random())"),
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "rows are locked before outcomes are joined",
        "service.queries.ledger",
        "lock_outcomes",
        remove_call("with_for_update"),
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "messages are locked before attempts",
        "service.recording.record_answers",
        "record_answers",
        insert_before(
            "rows = ledger.lock_outcomes(...)",
            "attempts.answer([_answered(answer, {}) for answer in answers])",
        ),
        "tests/service/recording/test_concurrent_records.py",
    ),
    Mutation(
        "entries are acknowledged after the commit",
        "service.recording.consume_inbox",
        "_record_or_isolate",
        insert_before("_record_together(...)", "inbox and inbox.ack(entries)"),
        "tests/service/recording/test_consume_inbox.py"
        "::test_failed_database_leaves_the_batch_in_the_inbox",
    ),
    Mutation(
        "a temporary error makes no dead letter",
        "service.recording.isolation",
        "Isolation._failed",
        replace("is_transient(...)", "False"),
        "tests/service/recording/test_isolation.py::test_lost_connection_makes_no_dead_letter",
    ),
    Mutation(
        "a claim with its answer in the inbox does not end in doubt",
        "service.sending.claim",
        "expire_claims",
        replace("messages.expired_claims(recorded_until, _)", "messages.expired_claims(now, _)"),
        "tests/service/recording/test_answers.py"
        "::test_no_claim_ends_in_doubt_while_its_answer_waits",
    ),
    Mutation(
        "two sweeps do not return the same callback",
        "service.queries.callbacks",
        "oldest_overflow",
        remove_call("with_for_update"),
        "tests/service/recording/test_consume_inbox.py"
        "::test_concurrent_sweeps_return_each_callback_once",
    ),
    Mutation(
        "a callback behind many posts waits only once",
        "service.web.thread_limit",
        "ThreadLimit._enter",
        replace("self._stalled = True", "return False"),
        "tests/service/web/test_thread_limit.py",
    ),
    Mutation(
        "a wake-up that another process refused is repeated",
        "service.task_queue.wake_ups",
        "WakeUps._run",
        remove("self._requested.set()"),
        "tests/service/task_queue/test_wake_ups.py::test_refused_wake_up_is_repeated",
    ),
    Mutation(
        "an unknown outcome is not a request that was not accepted",
        "service.providers.http",
        "call",
        replace("RequestNotSent", "exceptions.RequestException"),
        "tests/test_path.py",
    ),
    Mutation(
        "the stronger report is shown",
        "service.domain.outcome",
        "merge",
        replace("(a, b) if _ else (b, a)", "(b, a)"),
        "tests/service/domain/test_outcome.py",
    ),
    Mutation(
        "a callback without a valid Twilio signature is refused",
        "service.providers.twilio.signature",
        "verify",
        replace("raise Forged('mismatch')", "return 'anybody'"),
        "tests/service/web/test_callbacks.py",
    ),
    Mutation(
        "a callback without a valid Sinch signature is refused",
        "service.providers.sinch.signature",
        "_check_signature",
        replace("not _any_equal(...)", "False"),
        "tests/service/providers/test_base.py",
    ),
    Mutation(
        "an unsigned URL does not choose the attempt",
        "service.providers.sinch.reports",
        "from_callback",
        replace("_attempt(fields)", "as_uuid(callback.attempt)"),
        "tests/service/providers/test_base.py",
    ),
    Mutation(
        "a message found under our attempt id is proof",
        "service.reconciliation.look_up",
        "look_up",
        replace("certain or comparable", "comparable"),
        "tests/service/reconciliation/test_poll.py",
    ),
    Mutation(
        "a SID means acceptance, also with an unknown status",
        "service.domain.outcome",
        "outcome_of",
        replace("_acceptance(...)", "None"),
        "tests/service/sending/test_unknown_words.py",
    ),
    Mutation(
        "a message that has a SID is not sent again",
        "service.queries.reconciliation",
        "make_pending",
        remove("~exists().where(...)"),
        "tests/service/sending/test_unknown_words.py",
    ),
    Mutation(
        "a template is never matched by its text",
        "service.reconciliation.look_up",
        "look_up",
        remove("message.content_sid is None"),
        "tests/service/reconciliation/test_look_up.py",
    ),
    Mutation(
        "a SID is bound to one message",
        "service.reconciliation.resolve",
        "_record",
        remove("_raise_if_bound(...)"),
        "tests/service/reconciliation/test_look_up.py",
    ),
    Mutation(
        "opening a connection does not count as a sent request",
        "service.providers.connections",
        "_Connection.send",
        replace("not self._connecting", "True"),
        "tests/service/providers/test_connections.py",
    ),
    Mutation(
        "an idle connection is not reused",
        "service.providers.connections",
        "_Pool._get_conn",
        remove("conn.close()"),
        "tests/service/providers/test_connections.py",
    ),
    Mutation(
        "operator pages require a session",
        "service.web.ops.login",
        "_require_session",
        replace("current is None", "False"),
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "an ended session opens no page",
        "service.queries.operators",
        "_open",
        remove("OperatorSession.ended_at.is_(None)"),
        "tests/service/web/ops/test_sessions.py",
    ),
    Mutation(
        "a message past its deadline is not sent",
        "service.domain.deadline",
        "is_past_deadline",
        replace("now >= _", "False"),
        "tests/service/web/api/test_messages_expiry.py",
    ),
    Mutation(
        "a message that may have been sent does not expire",
        "service.sending.expiry",
        "_record",
        replace("_ in _", "False"),
        "tests/service/web/api/test_messages_expiry.py",
    ),
    Mutation(
        "a blocked account gets no message",
        "service.sending.failover",
        "_stopping",
        replace("_.kind in HOLDING", "False"),
        "tests/service/sending/test_parking.py"
        "::test_later_messages_of_a_blocked_account_wait_without_an_attempt",
    ),
    Mutation(
        "only one caller takes a probe",
        "service.holds.blocks",
        "take_probe",
        replace("holds.take_probe(...)", "True"),
        "tests/service/holds/test_blocks.py::test_several_processes_take_one_probe",
    ),
    Mutation(
        "a message with an unknown outcome does not move",
        "service.sending.alternatives",
        "_around",
        replace("_.attempts - 1 > (_.outcome_attempt or 0)", "False"),
        "tests/service/sending/test_failover.py::test_message_with_unknown_outcome_never_moves",
    ),
    Mutation(
        "a message with an unknown attempt is not sent again without consent",
        "service.sending.resend_refusals",
        "refusals_of",
        replace("attempts.without_outcome(ids)", "set()"),
        "tests/service/web/api/test_messages_resend.py",
    ),
    Mutation(
        "a client posts only from its own senders",
        "service.web.api.senders",
        "choose_sender",
        remove("_check_owner(...)"),
        "tests/service/web/api/test_messages_ownership.py"
        "::test_client_cannot_post_from_a_sender_of_another",
    ),
    Mutation(
        "no message moves to a sender of another client",
        "service.sending.alternatives",
        "_alternative",
        replace("owners.allow(message.client_id, sender)", "True"),
        "tests/service/sending/test_ownership.py"
        "::test_blocked_message_waits_if_the_next_sender_is_not_owned",
    ),
    Mutation(
        "a recipient keeps its sender of a pool",
        "service.sending.pools",
        "ranked",
        replace("last_used in weights", "False"),
        "tests/service/web/api/test_messages_pools.py"
        "::test_recipient_keeps_its_sender_when_the_pool_grows",
    ),
    Mutation(
        "no call begins too late to arrive before the deadline",
        "service.domain.deadline",
        "is_past_deadline",
        replace("_.expires_at - LEAST_TIME_LEFT", "message.expires_at"),
        "tests/service/web/api/test_messages_expiry.py",
    ),
    Mutation(
        "request digests are keyed",
        "service.sending.idempotency",
        "_under",
        replace("hmac.digest(...)", "request_digest"),
        "tests/service/privacy/test_erase_everywhere.py",
    ),
    Mutation(
        "forms require a CSRF token",
        "service.web.ops.login",
        "_require_session",
        remove("csrf.protect()"),
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "the login redirects only to operator pages",
        "service.web.ops.login",
        "_local_path",
        replace("path.startswith(...)", "path"),
        "tests/service/web/ops/test_login.py",
    ),
    Mutation(
        "operators decide only about messages in doubt",
        "service.reconciliation.resolve",
        "in_doubt",
        replace("_ is not Status.IN_DOUBT", "False"),
        "tests/service/web/ops/test_messages.py",
    ),
    Mutation(
        "a malformed SID is not sent to a provider",
        "service.web.ops.actions",
        "set_sid",
        replace("sid.isascii() and sid.isalnum() and _", "True"),
        "tests/service/web/ops/test_messages.py",
    ),
    Mutation(
        "phone numbers logged by libraries are masked",
        "service.observability.logging",
        "_plain",
        replace("mask(_)", "_"),
        "tests/test_secrets.py",
    ),
    Mutation(
        "the log of a failed task holds no exception text",
        "service.observability.logging",
        "_Stderr.emit",
        remove("_drop_exception_text(...)"),
        "tests/test_secrets.py",
    ),
    Mutation(
        "error reports to Sentry are scrubbed",
        "service.observability.sentry",
        "start",
        remove_keyword("before_send"),
        "tests/service/observability/test_sentry.py",
    ),
    Mutation(
        "a malformed X-Request-ID is replaced",
        "service.web.request_id",
        "_begin",
        replace("_ACCEPTABLE.fullmatch(_)", "_"),
        "tests/service/web/test_request_id.py",
    ),
    Mutation(
        "the request id is cleared after the request",
        "service.web.request_id",
        "_end",
        remove("clear_contextvars()"),
        "tests/service/web/test_request_id.py",
    ),
    Mutation(
        "a forged callback writes no free text into the log",
        "service.observability.events",
        "forged",
        replace("_(attempt)", "attempt"),
        "tests/service/observability/test_events.py",
    ),
    Mutation(
        "a sampled message is traced as a whole",
        "service.observability.tracing.spans",
        "Spans._is_sampled",
        replace("return _", "return __import__('random').random() < 0.5"),
        "tests/service/observability/tracing/test_traces.py",
    ),
    Mutation(
        "a message to an opted-out number is not sent",
        "service.sending.claim",
        "_claim_round",
        replace("suppression.without_opted_out(_, now)", "_"),
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "many opted-out numbers do not delay other messages",
        "service.sending.claim",
        "claim",
        replace("len(_) == _", "True"),
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "a late delivery does not end an opt-out",
        "service.queries.opt_out_evidence",
        "contradicted",
        remove("refused_at < _SENT_AT"),
        "tests/service/sending/test_suppression.py",
    ),
    Mutation(
        "a late report of a redacted message is redacted",
        "service.recording.record",
        "_entry",
        replace("redacted(report)", "report"),
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "a late report does not restore a redacted error text",
        "service.recording.redaction",
        "redacted",
        remove_keyword("error_message"),
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "an adopted orphan is redacted",
        "service.recording.record",
        "_adopt",
        remove("redact_adopted(...)"),
        "tests/service/privacy/test_redact.py",
    ),
    Mutation(
        "unfinished messages are not purged",
        "service.queries.retention",
        "old_messages",
        remove("or_(...)"),
        "tests/service/privacy/test_purge.py",
    ),
    Mutation(
        "erasing a number does not match longer numbers",
        "service.privacy.number_pattern",
        None,
        replace("_END: Final = _", "_END: Final = ''"),
        "tests/service/privacy/test_erase.py",
    ),
    Mutation(
        "a webhook goes only to an address that was checked",
        "service.webhook_client.resolver",
        "resolve",
        remove("check_address(address, rules)"),
        "tests/service/webhook_client/test_destinations_page.py",
    ),
    Mutation(
        "an IPv6 address that stands for an IPv4 address counts as that",
        "service.webhook_client.destination",
        "check_address",
        replace("_target(address)", "address"),
        "tests/service/webhook_client/test_destinations_page.py",
    ),
    Mutation(
        "each call looks the name up again",
        "service.webhook_client.resolver",
        "_run",
        replace("del _under_way[key]", "pass"),
        "tests/service/webhook_client/test_destinations_page.py",
    ),
    Mutation(
        "a certificate must be that of the name, not of the address",
        "service.webhook_client.connection",
        "Connection._secured",
        replace("self.host", "self._addresses[0]"),
        "tests/service/webhook_client/test_client.py::test_certificate_of_another_host_is_refused",
    ),
    Mutation(
        "a crawling body holds no webhook call",
        "service.webhook_client.client",
        "WebhookClient._send",
        remove("connection.set_deadline(...)"),
        "tests/service/webhook_client/test_client.py::test_status_counts_although_the_body_crawls",
    ),
    Mutation(
        "a secret that no key decrypts stops no other delivery",
        "service.webhooks.deliver",
        "_answer",
        replace("not call.secrets", "False"),
        "tests/service/webhooks/test_secrets.py::test_unreadable_secret_delays_only_its_endpoint",
    ),
    Mutation(
        "key rotation keeps a secret that a client changes meanwhile",
        "service.queries.webhook_secrets",
        "lock_batch",
        remove_call("with_for_update"),
        "tests/service/commands/test_webhooks.py"
        "::test_secret_that_a_client_rotates_meanwhile_is_kept",
    ),
)


def main() -> int:
    """Return the exit status: 0 when a test failed for every mutation."""
    words = sys.argv[1:]
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation.guard for word in words)]
    undetected = [mutation.guard for mutation in chosen if not _is_detected(mutation)]
    print(f"{len(chosen) - len(undetected)} detected, {len(undetected)} not detected")
    return 1 if undetected or not chosen else 0


def _is_detected(mutation: Mutation) -> bool:
    without_guard = mutation.source_without_guard()
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(".", copy, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache"))
        (copy / mutation.path).write_text(without_guard)
        command = [sys.executable, "-m", "pytest", "-q", "-x", mutation.test]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    # Status 1: tests ran, and one failed. Any other status is a mistake in this file.
    detected = run.returncode == 1
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    print(f"{'detected    ' if detected else 'NOT DETECTED'}  {mutation.guard}", flush=True)
    print(f"              {(failed or run.stdout.splitlines()[-1:] or [''])[0][:150]}", flush=True)
    return detected


if __name__ == "__main__":
    sys.exit(main())
