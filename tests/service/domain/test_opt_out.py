"""The state of an opt-out does not depend on the order of its changes, and equals a model."""

from datetime import datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.domain.opt_out import Decision, OptOutState, Refusal
from tests.strategies import EPOCH

# Few moments, so that changes are at one time and refusals before and after decisions.
moments = st.integers(0, 6).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
decisions = st.builds(
    Decision, moments, st.booleans(), st.sampled_from(["keyword", "client"]), st.just("who")
)
refusals = st.builds(Refusal, moments, st.sampled_from(["21610", "30007"]))
states = st.one_of(
    decisions.map(lambda decision: OptOutState(decision)),
    refusals.map(lambda refusal: OptOutState(refusal=refusal)),
)
histories = st.lists(states, max_size=7)


def folded(history: list[OptOutState]) -> OptOutState:
    state = OptOutState()
    for each in history:
        state = state.joined(each)
    return state


def model(history: list[OptOutState]) -> bool:
    """The last decision counts; after an end, a later refusal begins the opt-out again."""
    said = sorted(each.decision for each in history if each.decision)
    if said and said[-1].begins:
        return True
    refused = [each.refusal.at for each in history if each.refusal]
    return any(not said or at >= said[-1].at for at in refused)


@given(histories, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(history: list[OptOutState], chance: Random) -> None:
    shuffled = [*history, *history[:3]]
    chance.shuffle(shuffled)
    assert folded(shuffled) == folded(history)


@given(histories, histories, histories)
def test_join_is_associative(
    first: list[OptOutState], second: list[OptOutState], third: list[OptOutState]
) -> None:
    a, b, c = folded(first), folded(second), folded(third)
    assert a.joined(b).joined(c) == a.joined(b.joined(c))


@given(histories)
def test_state_equals_the_model(history: list[OptOutState]) -> None:
    assert folded(history).active == model(history)


@given(histories, moments)
def test_delivery_ends_only_earlier_refusals(history: list[OptOutState], sent_at: datetime) -> None:
    before = folded(history)
    after = before.delivered(sent_at)
    assert after.decision == before.decision
    if before.refusal and before.refusal.at >= sent_at:
        assert after == before
    else:
        assert after.refusal is None
