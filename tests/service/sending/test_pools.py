"""A pool shares recipients by the rates of its senders, and recipients keep their senders."""

from collections import Counter
from itertools import permutations

import pytest

from service.config.settings import Settings
from service.sending.pools import is_pool, pool_name, ranked, weights
from tests.conftest import make_settings

RECIPIENTS = [f"+1415{number:07}" for number in range(10_000)]
SENDERS = [f"+1500555{number:04}" for number in range(10)]


def chosen(rates: dict[str, float], to: str, last_used: str | None = None) -> str:
    return next(ranked(rates, to, last_used))


def shares(rates: dict[str, float]) -> dict[str, str]:
    return {to: chosen(rates, to) for to in RECIPIENTS}


def assert_within_a_tenth(rates: dict[str, float], senders: dict[str, str]) -> None:
    counts, total = Counter(senders.values()), sum(rates.values())
    for sender, rate in rates.items():
        expected = len(senders) * rate / total
        assert abs(counts[sender] - expected) <= expected / 10, (sender, counts)


@pytest.mark.parametrize("number", [2, 3, 10])
def test_equal_senders_get_equal_shares(number: int) -> None:
    rates = dict.fromkeys(SENDERS[:number], 1.0)
    assert_within_a_tenth(rates, shares(rates))


@pytest.mark.parametrize("rates", [(1.0, 1.0, 8.0), (10.0, 20.0, 30.0), (0.5, 1.5)])
def test_shares_follow_unequal_rates(rates: tuple[float, ...]) -> None:
    by_sender = dict(zip(SENDERS, rates, strict=False))
    assert_within_a_tenth(by_sender, shares(by_sender))


def test_added_sender_takes_only_its_share() -> None:
    before = dict.fromkeys(SENDERS[:4], 1.0)
    after = {**before, SENDERS[4]: 1.0}
    old, new = shares(before), shares(after)
    moved = {to: sender for to, sender in new.items() if sender != old[to]}
    assert set(moved.values()) == {SENDERS[4]}
    assert_within_a_tenth(after, new)


def test_recipients_of_a_removed_sender_are_shared_out() -> None:
    before = dict.fromkeys(SENDERS[:5], 1.0)
    after = dict.fromkeys(SENDERS[:4], 1.0)
    old, new = shares(before), shares(after)
    moved = {to: sender for to, sender in new.items() if sender != old[to]}
    assert {old[to] for to in moved} == {SENDERS[4]}
    assert_within_a_tenth(after, new)


def test_order_of_the_senders_changes_nothing() -> None:
    for order in permutations(SENDERS[:3]):
        rates = dict.fromkeys(order, 1.0)
        choices = [list(ranked(rates, to, None)) for to in RECIPIENTS[:20]]
        assert choices == [
            list(ranked(dict.fromkeys(SENDERS[:3], 1.0), to, None)) for to in RECIPIENTS[:20]
        ]


@pytest.mark.parametrize("to", RECIPIENTS[:5])
def test_last_sender_is_kept_while_it_is_in_the_pool(to: str) -> None:
    rates = dict.fromkeys(SENDERS, 1.0)
    for sender in SENDERS:
        assert chosen(rates, to, sender) == sender
        assert sorted(ranked(rates, to, sender)) == SENDERS
    assert chosen(rates, to, "+447700900001") == chosen(rates, to)


def settings(rates: str) -> Settings:
    return make_settings("sqlite:///unused.db", "redis://unused", SENDER_RATES=rates)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ("", [1, 1, 1]),
        ("+15005550000:10", [10, 10, 10]),
        ("+15005550000:10,*:2", [10, 2, 2]),
        ("+15005550000:10,+15005550001:40", [10, 40, 40]),
    ],
    ids=["no rates", "one rate", "all other senders", "two rates"],
)
def test_weights_are_the_rates_of_the_settings(rates: str, expected: list[float]) -> None:
    assert list(weights(SENDERS[:3], settings(rates)).values()) == expected


def test_rate_of_an_account_weighs_its_sender(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    path.write_text(
        f"""
        [[twilio]]
        name = "campaigns"
        account_sid = "AC{2:032}"
        auth_token = "t"
        phone_number = "{SENDERS[0]}"
        sender_rates = {{ "{SENDERS[1]}" = 30, "*" = 3 }}
        """
    )
    options = make_settings(
        "sqlite:///unused.db", "redis://unused", ACCOUNTS_FILE=str(path), SENDER_RATES="*:1"
    )
    assert list(weights(SENDERS[:3], options).values()) == [3, 30, 1]


@pytest.mark.parametrize("text", ["pool:campaigns", " Pool:x", "pool:"])
def test_prefix_names_a_pool(text: str) -> None:
    assert is_pool(text)


@pytest.mark.parametrize("text", ["pool", "POOL 1", "poolparty", "+15005550006", ""])
def test_sender_names_no_pool(text: str) -> None:
    assert not is_pool(text)


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "ä", "x" * 65, "a:b"])
def test_bad_pool_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a pool"):
        pool_name(name)
