"""The suppression list is the same after any order of changes, also of a refusal and a delivery."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from service.database import db, transaction
from service.domain.opt_out import PROVIDER, Decision, OptOutState, Refusal
from service.domain.report import StatusReport
from service.inbound.record import record as hear
from service.models import Attempt, OptOut
from service.queries import opt_outs
from service.queries.opt_outs import Change, Pair
from service.recording import record
from service.sending import deliver
from tests.fakes import said
from tests.messages import Post
from tests.opt_outs import PERSON, SENDER, store, stored
from tests.service.inbound.conversation import heard
from tests.strategies import EPOCH, splits

EXAMPLES = settings.default.max_examples * 3 // 5
# Few pairs and moments, so that changes meet.
PAIRS = [Pair(PERSON, SENDER, "twilio"), Pair(PERSON, "*", "*")]
moments = st.integers(0, 3).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
decisions = st.builds(
    Change,
    st.sampled_from(PAIRS),
    st.booleans(),
    moments,
    st.sampled_from(["keyword", "client", "operator", "import"]),
    st.sampled_from(["recipient", "client a", "client b"]),
)
refusals = st.builds(
    Change,
    st.sampled_from(PAIRS),
    st.just(True),
    moments,
    st.just(PROVIDER),
    st.just(PROVIDER),
    st.sampled_from(["21610", "30007"]),
)


def shown(pair: Pair, state: OptOutState) -> tuple[Any, ...]:
    """Return what the list shows of an opt-out in force."""
    if state.decision and state.decision.begins:
        at, _, reason, by = state.decision
        return (*pair, at, reason, by)
    assert state.refusal is not None
    return (*pair, state.refusal.at, PROVIDER, PROVIDER)


def model(changes: list[Change]) -> list[tuple[Any, ...]]:
    result = []
    for pair in sorted({change.pair for change in changes}):
        state = OptOutState()
        for _, begins, at, reason, by, code in (each for each in changes if each.pair == pair):
            decision = None if reason == PROVIDER else Decision(at, begins, reason, by)
            refusal = Refusal(at, code or "") if reason == PROVIDER else None
            state = state.joined(OptOutState(decision, refusal))
        if state.active:
            result.append(shown(pair, state))
    return result


def in_force() -> list[tuple[Any, ...]]:
    db.session.rollback()
    key = (OptOut.to, OptOut.sender, OptOut.provider)
    columns = (*key, OptOut.since, OptOut.reason, OptOut.changed_by)
    return sorted(tuple(row) for row in db.session.execute(select(*columns).where(OptOut.active)))


@given(data=st.data())
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_division_ends_in_the_state_of_the_model(
    context: Flask, data: st.DataObject
) -> None:
    changes = data.draw(st.lists(st.one_of(decisions, refusals), max_size=8))
    with transaction():
        db.session.execute(delete(OptOut))
    balance = 0
    for batch in data.draw(splits(changes)):
        with transaction():
            for effect in opt_outs.change(batch):
                balance += effect.number if effect.begins else -effect.number
    assert in_force() == model(changes)
    assert balance == len(in_force())


Step = Callable[[], object]
Send = Callable[..., UUID]


@pytest.fixture
def sent(post: Post) -> Send:
    """Send a message to a person; return its attempt."""

    def send(to: str = PERSON) -> UUID:
        message_id = post(to=to)
        deliver.deliver()
        query = select(Attempt.id).where(Attempt.message_id == message_id)
        return db.session.scalars(query).one()

    return send


def refusal(attempt_id: UUID) -> StatusReport:
    return said("undelivered", attempt_id=attempt_id, error_code="21610")


def happened(name: str, person: str, sent: Send) -> Step:
    """Let something happen now; return what records it later."""
    if name == "refused":
        return partial(record.record, [refusal(sent(person))])
    if name == "delivered":
        return partial(record.record, [said("delivered", attempt_id=sent(person))])
    return partial(hear, [heard(name, From=person)])


@pytest.mark.parametrize(
    ("history", "active"),
    [
        ("refused START refused", True),
        ("refused refused START", False),
        ("STOP refused START", False),
        ("STOP START refused", True),
        ("START STOP delivered", True),
        ("refused delivered STOP", True),
        ("refused START delivered", False),
        ("STOP refused delivered", True),
        ("refused delivered delivered", False),
        ("refused delivered refused", True),
    ],
)
def test_reports_and_words_in_any_order(sent: Send, history: str, active: bool) -> None:
    """What happened in this order is recorded in every order: refusals count as of their call."""
    for number, order in enumerate(permutations(range(3))):
        person = f"+1415555300{number}"
        steps = [happened(name, person, sent) for name in history.split()]
        for index in order:
            steps[index]()
        assert (person in {to for to, *_ in stored()}) == active, order


def test_refusal_of_a_call_before_start_does_not_begin_again(sent: Send) -> None:
    """The call was under way while the person wrote START, or its callback was late."""
    attempt_id = sent()
    hear([heard("STOP")])
    hear([heard("START")])
    record.record([refusal(attempt_id)])
    assert stored() == []


def test_stop_to_a_number_of_a_service_is_for_both(context: Flask) -> None:
    service = "MG" + "7" * 32
    hear([heard("STOP", MessagingServiceSid=service)])
    assert stored() == [(PERSON, SENDER, "twilio"), (PERSON, service, "twilio")]
    hear([heard("START", MessagingServiceSid=service)])
    assert stored() == []


def test_stop_over_rcs_is_for_sms_and_not_for_whatsapp(
    post: Post, provider: Any, context: Flask
) -> None:
    hear([heard("STOP", From=f"rcs:{PERSON}")])
    post()
    post(to=f"rcs:{PERSON}")
    deliver.deliver()
    assert provider.on_air == []
    post(to=f"whatsapp:{PERSON}")
    deliver.deliver()
    assert [outbound.to for outbound in provider.on_air] == [f"whatsapp:{PERSON}"]


def test_stop_in_an_old_spelling_is_for_the_normalised_number(post: Post, provider: Any) -> None:
    """WhatsApp still writes Mexican mobile numbers with a 1 after the country code."""
    hear([heard("STOP", From="whatsapp:+5215512345678")])
    post(to="whatsapp:+525512345678")
    deliver.deliver()
    assert provider.on_air == []


def test_stop_from_a_name_or_short_code_breaks_nothing(context: Flask) -> None:
    assert hear([heard("STOP", From="ACME"), heard("STOP", From="72345")]) == 2


def test_start_does_not_end_an_opt_out_from_every_sender(context: Flask) -> None:
    store(sender="*", provider="*")
    hear([heard("START")])
    assert stored() == [(PERSON, "*", "*")]


def test_changes_are_counted_and_logged_without_the_number(
    context: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    hear([heard("STOP"), heard("STOP", From="+14155552672")])
    [logged] = [each for each in caplog.records if "opt-outs began" in str(each.msg)]
    assert {"reason": "keyword", "by": "recipient", "count": 2}.items() <= dict(logged.msg).items()
    assert PERSON not in str(logged.msg)


def test_row_of_an_earlier_version_ends_with_start(context: Flask) -> None:
    """During an upgrade the version before inserts rows without the new columns."""
    with transaction():
        now = datetime.now(UTC)
        db.session.add(
            OptOut(to=PERSON, sender=SENDER, provider="twilio", error_code="21610", since=now)
        )
    hear([heard("STOP", now - timedelta(seconds=2))])
    hear([heard("START", now - timedelta(seconds=1))])
    assert stored() == [(PERSON, SENDER, "twilio")]
    hear([heard("START")])
    assert stored() == []
