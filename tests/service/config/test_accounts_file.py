"""ACCOUNTS_FILE: every problem with its place, no secret, and senders in one form."""

import re
import traceback
from pathlib import Path

import pytest

from service.config.accounts import SinchAccount, TwilioAccount
from service.config.settings import ConfigurationError, Settings
from tests.conftest import SINCH

GOOD = {"PUBLIC_BASE_URL": "https://sms.example.com"}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "hunter2-default"}
SID = "AC" + "1" * 32
KEY = "SK" + "1" * 32
SERVICE = "MG" + "a" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.toml"


def loaded(path: Path, text: str, **changes: str) -> Settings:
    path.write_text(text)
    return Settings.load({**GOOD, "ACCOUNTS_FILE": str(path), **changes})


def problems(path: Path, text: str | bytes, **changes: str) -> list[str]:
    """Return the problems of a file, without its path."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({**GOOD, "ACCOUNTS_FILE": str(path), **changes})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    prefix = f"ACCOUNTS_FILE: {path}: "
    lines = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


def test_accounts_have_credentials_senders_rates_and_routes(path: Path) -> None:
    text = f"""
        [[twilio]]
        name = "marketing"
        account_sid = "{SID}"
        api_key_sid = "{KEY}"
        api_key_secret = "hunter2-key"
        shared_keys = [{{ key_id = "k1", algorithm = "HMAC_SHA256", secret = "hunter2-shared" }}]
        extra_auth_tokens = [{{ label = "next", token = "hunter2-next" }}]
        region = "ie1"
        edge = "dublin"
        phone_number = "(500) 555-0006"
        messaging_service_sid = "{SERVICE.upper()}"
        sender_rates = {{ "(500) 555-0007" = 2.5, "{SERVICE.upper()}" = 80, "*" = 1 }}
        routes = ["+46", "*"]

        [[sinch]]
        name = "eu"
        project_id = "project"
        key_id = "key"
        key_secret = "hunter2-sinch"
        region = "eu"
        phone_number = "+44 (0)7700 900001"
        callback_secrets = ["hunter2-callback"]
    """
    settings = loaded(path, text, DEFAULT_REGION="US")
    marketing, eu = settings.accounts["twilio"]["marketing"], settings.accounts["sinch"]["eu"]
    assert isinstance(marketing, TwilioAccount)
    assert isinstance(eu, SinchAccount)
    assert (marketing.phone_number, marketing.messaging_service_sid) == ("+15005550006", SERVICE)
    assert marketing.sender_rates == {"+15005550007": 2.5, SERVICE: 80, "*": 1}
    assert marketing.routes == ("+46", "*")
    assert eu.phone_number == "+447700900001"
    assert "hunter2" not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_accounts_of_settings_come_first(path: Path) -> None:
    text = f'[[twilio]]\nname = "b"\naccount_sid = "{SID}"\nauth_token = "t"'
    accounts = loaded(path, text, **TWILIO, **SINCH).accounts
    assert {provider: list(named) for provider, named in accounts.items()} == {
        "twilio": ["default", "b"],
        "sinch": ["default"],
    }


def test_every_problem_is_listed_with_its_place(path: Path) -> None:
    text = f"""
        [[twilio]]
        name = "marketing"
        account_sid = "hunter2"
        auth_tokn = "hunter2"
        region = "ie1"
        phone_number = "(500) 555-0006"
        sender_rates = {{ "+15005550006" = 0, "TWELVELETTER" = 1 }}
        routes = ["46"]

        [[twilio]]
        name = "Hunter2!"
        account_sid = "{SID}"
        auth_token = ""

        [[sinch]]
        name = "eu"
        service_plan_id = "plan"
        project_id = "project"
        region = "mars"
        callback_secrets = ["", "hunter2"]

        [[vonage]]
        name = "x"
    """
    listed = problems(path, text)
    places = {problem.partition(": ")[0] for problem in listed}
    assert places == {
        *(
            f"twilio account marketing, {field}"
            for field in (
                *("account_sid", "auth_tokn", "auth_token", "edge", "phone_number"),
                *("sender_rates.+15005550006", "routes.0"),
            )
        ),
        *(f"twilio account number 2, {field}" for field in ("name", "auth_token")),
        *(f"sinch account eu, {field}" for field in ("project_id", "region", "callback_secrets.0")),
        "vonage",
    }
    assert "did you mean auth_token?" in " ".join(listed)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        (f'account_sid = "{SID}"', "auth_token"),
        (f'account_sid = "{SID}"\napi_key_sid = "{KEY}"\nauth_token = "t"', "api_key_secret"),
        (f'account_sid = "{SID}"\napi_key_secret = "t"\nauth_token = "t"', "api_key_sid"),
        (f'account_sid = "{SID}"\napi_key_sid = "{KEY}"\napi_key_secret = "t"', "auth_token"),
        (f'account_sid = "{SID}"\nauth_token = "t"\nedge = "dublin"', "region"),
        (f'account_sid = "{SID}"\nauth_token = "t"\nsender_rates = {{ TWELVELETTER = 1 }}', "s"),
        (f'account_sid = "{SID}"\nauth_token = "t"\nroutes = ["*", "*"]', "routes"),
        (f'account_sid = "{SID}"\nauth_token = "t"\nshared_keys = [{{ key_id = "k" }}]', "sh"),
    ],
)
def test_incomplete_account_is_refused(path: Path, fields: str, place: str) -> None:
    listed = problems(path, f'[[twilio]]\nname = "b"\n{fields}')
    assert listed
    assert all(problem.startswith(f"twilio account b, {place}") for problem in listed), listed


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# nothing\n",
        b"twilio = []",
        b"[twilio]\nauth_token = 'hunter2'",
        b"[[twilio]]\nauth_token = 'hunter2",
        b"auth_token = hunter2",
        b"[[twilio]]\nauth_token = '\xff'",
        b"#" * 1_000_001,
        b"twilio = ['hunter2']",
    ],
)
def test_unusable_file_is_refused(path: Path, text: bytes) -> None:
    assert problems(path, text)


def test_unreadable_file_is_refused(path: Path) -> None:
    for unreadable in (path, path.parent):
        with pytest.raises(ConfigurationError) as caught:
            Settings.load({**GOOD, "ACCOUNTS_FILE": str(unreadable)})
        assert f"ACCOUNTS_FILE: {unreadable}: cannot be read" in str(caught.value)


def test_names_are_distinct(path: Path) -> None:
    entry = f'[[twilio]]\nname = "b"\naccount_sid = "{SID}"\nauth_token = "t"\n'
    [problem] = problems(path, entry * 2)
    assert problem.startswith("twilio: several accounts have the name b")


def test_default_account_is_described_once(path: Path) -> None:
    entry = f'[[twilio]]\naccount_sid = "{SID}"\nauth_token = "t"\n'
    assert list(loaded(path, entry).accounts["twilio"]) == ["default"]
    with pytest.raises(ConfigurationError, match="twilio account default"):
        loaded(path, entry, **TWILIO)


def test_routes_name_accounts_of_the_file(path: Path) -> None:
    entry = f'[[twilio]]\nname = "b"\naccount_sid = "{SID}"\nauth_token = "t"\n'
    assert loaded(path, entry, SMS_ROUTES="*:twilio/b")
    with pytest.raises(ConfigurationError, match="twilio/c must name an account of twilio: b"):
        loaded(path, entry, SMS_ROUTES="*:twilio/c")


def test_lease_outlives_a_token_request_and_a_call(path: Path) -> None:
    entry = """
        [[sinch]]
        project_id = "p"
        key_id = "k"
        key_secret = "s"
        callback_secrets = ["c"]
    """
    assert loaded(path, entry, CLAIM_LEASE="31")
    with pytest.raises(ConfigurationError, match="CLAIM_LEASE: must be at least 31"):
        loaded(path, entry, CLAIM_LEASE="30")


def test_file_of_the_documentation_is_accepted(path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/accounts.md").read_text()
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    accounts = loaded(path, text, **TWILIO, SMS_ROUTES="+46:sinch/plan>twilio/marketing").accounts
    assert {provider: list(named) for provider, named in accounts.items()} == {
        "twilio": ["default", "marketing", "dublin"],
        "sinch": ["plan", "project"],
    }


def test_page_lists_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs/accounts.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page.partition("## Fields")[2], re.MULTILINE)
    shown = {name for row in rows for name in re.findall("`(\\w+)`", row)}
    assert shown == {*TwilioAccount.model_fields, *SinchAccount.model_fields}
