"""Copies of a message, received in any order and any number, give one message."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_client import merge
from waybill_client.fake import FakeWaybill

fields = st.dictionaries(
    st.sampled_from(["status", "body", "error", "waiting"]), st.none() | st.text(max_size=2)
)
copies = st.none() | st.builds(
    lambda version, rest: {"id": "m", "version": version, **rest}, st.integers(1, 3), fields
)


@given(copies, copies)
def test_merge_is_commutative(a: Any, b: Any) -> None:
    assert merge(a, b) == merge(b, a)


@given(copies, copies, copies)
def test_merge_is_associative(a: Any, b: Any, c: Any) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(copies, copies)
def test_merge_is_idempotent(a: Any, b: Any) -> None:
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)


@given(copies)
def test_nothing_is_neutral(a: Any) -> None:
    assert merge(a, None) == merge(None, a) == a


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_any_order_with_repeats_gives_the_newest(order: list[int], repeats: list[int]) -> None:
    history: list[Any] = [
        {"id": "m", "version": version, "status": str(version)} for version in range(6)
    ]
    received = [history[i] for i in [*order, *repeats]]
    assert reduce(merge, received, None) == history[-1]


def test_copy_with_the_text_wins_over_one_without() -> None:
    fake = FakeWaybill()
    message: Any = fake.client().send(to="+14155552671", body="Hello")
    without = {name: value for name, value in message.items() if name != "body"}
    assert merge(without, message) == merge(message, without) == message


def test_two_messages_are_not_merged() -> None:
    a: Any = {"id": "a", "version": 1}
    with pytest.raises(ValueError, match="two messages"):
        merge(a, {**a, "id": "b"})
