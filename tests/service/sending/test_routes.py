"""Routes choose providers by the longest matching prefix, and accounts within a provider."""

from itertools import permutations

import pytest

from service.config.settings import Settings
from service.providers import configured
from service.sending.routes import accounts_for, targets
from tests.conftest import SINCH, make_settings

ROUTES = ("+46:sinch>twilio", "+4673:twilio", "+1:sinch")


def settings(routes: str) -> Settings:
    return make_settings("sqlite:///unused.db", "redis://unused", **SINCH, SMS_ROUTES=routes)


def names(to: str, options: Settings) -> list[str]:
    return [target.provider for target in targets(to, options, configured(options))]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("+46701740605", ["sinch", "twilio"]),
        ("+46731740605", ["twilio"]),
        ("+14155552671", ["sinch"]),
        ("+4", ["twilio"]),
        ("+447700900001", ["twilio"]),
        ("whatsapp:+46701740605", ["twilio"]),
        ("whatsapp:+14155552671", ["twilio"]),
    ],
)
def test_longest_matching_prefix_chooses_the_providers(to: str, expected: list[str]) -> None:
    for routes in permutations(ROUTES):
        assert names(to, settings(",".join(routes))) == expected


def test_star_matches_numbers_without_a_route() -> None:
    assert names("+447700900001", settings(",".join([*ROUTES, "*:sinch"]))) == ["sinch"]


def test_fallback_is_used_without_routes() -> None:
    assert names("+46701740605", settings("")) == ["twilio"]


def test_accounts_are_ordered_by_name_then_by_prefix(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    path.write_text(
        "".join(
            f"""
            [[twilio]]
            name = "{name}"
            account_sid = "AC{number:032}"
            auth_token = "t"
            routes = {routes}
            """
            for number, (name, routes) in enumerate(
                [("nordic", '["+46"]'), ("stockholm", '["+468"]'), ("world", '["*"]')]
            )
        )
    )
    options = make_settings("sqlite:///unused.db", "redis://unused", ACCOUNTS_FILE=str(path))
    twilio = configured(options)["twilio"]
    assert accounts_for(twilio, "+468123")[:3] == ["stockholm", "nordic", "world"]
    assert accounts_for(twilio, "+1415")[0] == "world"
    assert accounts_for(twilio, "+468123", [None, "gone", "default"])[:2] == [
        "default",
        "stockholm",
    ]
