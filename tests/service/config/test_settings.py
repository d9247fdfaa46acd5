"""Settings: every problem at once, no secret anywhere, and an example file that tells the truth."""

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic_core import PydanticUndefined

from service.config.settings import ConfigurationError, Settings
from tests.conftest import SINCH

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SERVICE = "MG" + "0" * 31 + "a"
GOOD = {
    "PUBLIC_BASE_URL": "https://sms.example.com",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "hunter2-primary",
}
SECRETS = {
    **GOOD,
    "DATABASE_URL": "postgresql://waybill:hunter2-database@db.example.com/waybill",
    "DATABASE_READ_URL": "postgresql://waybill:hunter2-replica@replica.example.com/waybill",
    "REDIS_URL": "redis://:hunter2-redis@redis.example.com/0",
    "TWILIO_EXTRA_AUTH_TOKENS": f"AC{'1' * 32}:old:hunter2-extra",
    "TWILIO_SHARED_KEYS": "key-1:HMAC_SHA256:hunter2-shared",
    "SINCH_SERVICE_PLAN_ID": "plan",
    "SINCH_API_TOKEN": "hunter2-sinch",
    "SINCH_CALLBACK_SECRETS": "hunter2-callbacks,hunter2-next",
}
PATH_SECRET = "hunter2-in-the-path"
SINCH_ALONE = {"PUBLIC_BASE_URL": "https://sms.example.com", **SINCH}


def problems(**changes: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({**GOOD, **changes})
    return str(caught.value)


@pytest.fixture
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def test_required_settings_suffice() -> None:
    settings = Settings.load(GOOD)
    assert settings.callback_base_url == "https://sms.example.com"
    assert settings.twilio_auth_token.get_secret_value() == "hunter2-primary"
    assert settings.twilio_phone_number is None


def test_error_lists_every_invalid_setting() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(
            {
                "DATABASE_URL": "mysql://db",
                "SEND_ATTEMPTS": "many",
                "LOG_LEVEL": "LOUD",
                "CLAIM_LEASE": "10",
                "TWILIO_API_KEY_SECRET": "hunter2",
                "SINCH_API_TOKEN": "hunter2",
            }
        )
    lines = str(caught.value).splitlines()
    assert ".env.example" in lines[0]
    assert {line.partition(":")[0].strip() for line in lines[1:]} == {
        *("DATABASE_URL", "PUBLIC_BASE_URL", "SEND_ATTEMPTS", "LOG_LEVEL", "CLAIM_LEASE"),
        *("TWILIO_ACCOUNT_SID", "TWILIO_API_KEY_SID", "TWILIO_AUTH_TOKEN"),
        *("SINCH_SERVICE_PLAN_ID", "SINCH_CALLBACK_SECRETS"),
    }


def test_error_asks_for_any_provider() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"PUBLIC_BASE_URL": "https://sms.example.com"})
    [_, problem] = str(caught.value).splitlines()
    assert {"TWILIO_AUTH_TOKEN", "SINCH_API_TOKEN", "ACCOUNTS_FILE"} <= set(
        re.findall("[A-Z_]{5,}", problem)
    )


@pytest.mark.parametrize("name", ["TWILIO_ACCOUNT_SID", "SINCH_SERVICE_PLAN_ID", "ACCOUNTS_FILE"])
def test_faulty_setting_causes_no_second_problem(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({**SECRETS, "SMS_ROUTES": "+46:sinch,*:twilio", name: "/missing"})
    lines = str(caught.value).splitlines()[1:]
    assert {line.partition(":")[0].strip() for line in lines} <= {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "waybill.db"),
        ("DATABASE_URL", "postgresql+asyncpg://db/waybill"),
        ("DATABASE_URL", "postgresql://waybill@db-a:5432,db b:5432/waybill"),
        ("DATABASE_READ_URL", "sqlite:///waybill.db"),
        ("DATABASE_READ_URL", "postgresql://replica/waybill"),  # DATABASE_URL is SQLite
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost:6379"),
        ("PUBLIC_BASE_URL", "sms.example.com"),
        ("PUBLIC_BASE_URL", "https://"),
        ("PUBLIC_BASE_URL", "https://sms.example.com:port"),
        ("PUBLIC_BASE_URL", "https://user@sms.example.com"),
        ("PUBLIC_BASE_URL", "https://sms.example.com?a=b"),
        ("PUBLIC_BASE_URL", "https://sms.example.com#a"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_ACCOUNT_SID", "SK" + "0" * 32),
        ("TWILIO_API_BASE_URL", "ftp://api.twilio.com"),
        ("TWILIO_CONNECT_TIMEOUT", "0"),
        ("TWILIO_READ_TIMEOUT", "inf"),
        ("TWILIO_READ_TIMEOUT", "nan"),
        ("RECONCILE_AFTER", "inf"),
        ("RECONCILE_HORIZON", "inf"),
        ("DEFAULT_REGION", "gb"),
        ("CLAIM_LEASE", "-1"),
        ("SEND_ATTEMPTS", "0"),
        ("SEND_ATTEMPTS", "61"),
        ("WORKER_CONCURRENCY", "1.5"),
        ("LOG_LEVEL", "debug"),
        ("SINCH_SERVICE_PLAN_ID", "a/b"),
        ("SINCH_REGION", "mars"),
        ("SINCH_CALLBACK_PATH_SECRET", "too-short"),
        ("SINCH_CALLBACK_PATH_SECRET", "no/slash/in/a/segment"),
        ("SINCH_CALLBACK_WINDOW", "0"),
        ("SINCH_READ_TIMEOUT", "0"),
        ("SINCH_OLDER_SIGNATURE", "perhaps"),
        ("DEFAULT_PROVIDER", "nobody"),
        ("DEFAULT_PROVIDER", "sinch"),
        ("SMS_ROUTES", "twilio"),
        ("SMS_ROUTES", "46:twilio"),
        ("SMS_ROUTES", "+46:"),
        ("SMS_ROUTES", "+46:sinch"),
        ("SMS_ROUTES", "+46:twilio,+46:twilio"),
        ("SENDER_RATES", "10"),
        ("SENDER_RATES", "+15005550006:"),
        ("SENDER_RATES", "+15005550006:fast"),
        ("SENDER_RATES", "+15005550006:-1"),
        ("SENDER_RATES", "+15005550006:0"),
        ("SENDER_RATES", "*:1,*:2"),
        ("RATE_LIMIT_POSTS", "many"),
        ("RATE_LIMIT_POSTS", "0/second"),
        ("RATE_LIMIT_POSTS", "10/second;many"),
        ("TWILIO_EXTRA_AUTH_TOKENS", "token"),
        ("TWILIO_EXTRA_AUTH_TOKENS", "AC1:label"),
        ("TWILIO_EXTRA_AUTH_TOKENS", "AC1:label:"),
        ("TWILIO_EXTRA_AUTH_TOKENS", "AC1::token"),
        ("TWILIO_SHARED_KEYS", "key"),
        ("TWILIO_SHARED_KEYS", "key:MD5:secret"),
        ("TWILIO_SHARED_KEYS", "key:HMAC_SHA256:secret,key"),
    ],
)
def test_error_names_the_invalid_setting(name: str, value: str) -> None:
    [problem] = problems(**{name: value}).splitlines()[1:]
    assert problem.strip().startswith(f"{name}: ")


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_value_counts_as_unset(blank: str) -> None:
    assert Settings.load({**GOOD, "LOG_LEVEL": blank}).log_level == "INFO"
    assert "TWILIO_AUTH_TOKEN" in problems(TWILIO_AUTH_TOKEN=blank)


def test_settings_show_no_secret() -> None:
    unsigned = {"SINCH_CALLBACK_SECRETS": "", "SINCH_CALLBACK_PATH_SECRET": PATH_SECRET}
    for settings in (Settings.load(SECRETS), Settings.load({**SECRETS, **unsigned})):
        shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
        assert "hunter2" not in shown


def test_configuration_error_shows_no_secret() -> None:
    broken = {
        **SECRETS,
        "DATABASE_URL": "mysql://waybill:hunter2-database@db/waybill",
        "TWILIO_EXTRA_AUTH_TOKENS": "hunter2-extra",
        "TWILIO_SHARED_KEYS": "key-1:MD5:hunter2-shared",
        "PUBLIC_BASE_URL": "https://user:hunter2-base@sms.example.com",
        "TWILIO_ACCOUNT_SID": "hunter2-primary",
        "SINCH_CALLBACK_PATH_SECRET": "hunter2/path",
    }
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(broken)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("postgres://u:p@db/waybill", "postgresql+psycopg://u:p@db/waybill"),
        ("postgresql://u:p@db/waybill", "postgresql+psycopg://u:p@db/waybill"),
        ("postgresql+psycopg://u:p@db/waybill", "postgresql+psycopg://u:p@db/waybill"),
        ("sqlite:///waybill.db", "sqlite:///waybill.db"),
        ("sqlite:////var/lib/waybill.db", "sqlite:////var/lib/waybill.db"),
    ],
)
def test_database_url_accepts_the_usual_schemes(value: str, expected: str) -> None:
    settings = Settings.load({**GOOD, "DATABASE_URL": value})
    assert settings.database_url.get_secret_value() == expected


@pytest.mark.parametrize("value", ["https://sms.example.com/", "https://sms.example.com//"])
def test_public_url_loses_trailing_slashes(value: str) -> None:
    assert Settings.load({**GOOD, "PUBLIC_BASE_URL": value}).callback_base_url == value.rstrip("/")


def test_extra_tokens_and_shared_keys_are_parsed() -> None:
    settings = Settings.load(
        {
            **GOOD,
            "TWILIO_EXTRA_AUTH_TOKENS": "AC1:old:token, AC2:subaccount:to:ken,",
            "TWILIO_SHARED_KEYS": "k1:HMAC_SHA256:secret,k2:HMAC_SHA1:se:cret",
        }
    )
    extra, shared = settings.twilio_extra_auth_tokens, settings.twilio_shared_keys
    assert [
        (token.account_sid, token.label, token.token.get_secret_value()) for token in extra
    ] == [
        ("AC1", "old", "token"),
        ("AC2", "subaccount", "to:ken"),
    ]
    assert [(key.key_id, key.algorithm, key.secret.get_secret_value()) for key in shared] == [
        ("k1", "HMAC_SHA256", "secret"),
        ("k2", "HMAC_SHA1", "se:cret"),
    ]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"SINCH_API_TOKEN": ""}, "SINCH_API_TOKEN"),
        ({"SINCH_CALLBACK_SECRETS": ""}, "SINCH_CALLBACK_SECRETS"),
        ({"SINCH_CALLBACK_PATH_SECRET": PATH_SECRET}, "SINCH_CALLBACK_SECRETS"),
        ({"SINCH_READ_TIMEOUT": "60"}, "CLAIM_LEASE"),
    ],
)
def test_incomplete_sinch_settings_are_refused(changes: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({**SECRETS, **changes})
    [problem] = str(caught.value).splitlines()[1:]
    assert problem.strip().startswith(name)


def test_routes_are_parsed() -> None:
    settings = Settings.load({**SECRETS, "SMS_ROUTES": "+46:sinch>twilio/default, *:twilio,"})
    assert [
        (route.prefix, [(target.provider, target.account) for target in route.targets])
        for route in settings.sms_routes
    ] == [
        ("+46", [("sinch", None), ("twilio", "default")]),
        ("*", [("twilio", None)]),
    ]


def test_sender_rates_are_parsed() -> None:
    value = f"WhatsApp:+1 500 555 0006:80, {SERVICE.upper()}:2.5,ACME:3,(500) 555-0007:4,*:1,"
    settings = Settings.load({**GOOD, "DEFAULT_REGION": "US", "SENDER_RATES": value})
    assert [(rate.sender, rate.rate) for rate in settings.sender_rates] == [
        ("whatsapp:+15005550006", 80),
        (SERVICE, 2.5),
        ("ACME", 3),
        ("+15005550007", 4),
        ("*", 1),
    ]


def test_default_senders_are_normalised() -> None:
    values = {
        "DEFAULT_REGION": "US",
        "TWILIO_PHONE_NUMBER": "(500) 555-0006",
        "TWILIO_MESSAGING_SERVICE_SID": f"MG{'A' * 32}",
        "SINCH_PHONE_NUMBER": "+44 (0)7700 900001",
    }
    settings = Settings.load({**SECRETS, **values})
    assert settings.twilio_phone_number == "+15005550006"
    assert settings.twilio_messaging_service_sid == f"MG{'a' * 32}"
    assert settings.sinch_phone_number == "+447700900001"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TWILIO_PHONE_NUMBER", "(500) 555-0006", "must begin with +"),
        ("TWILIO_PHONE_NUMBER", SERVICE, "id of a Messaging Service"),
        ("TWILIO_PHONE_NUMBER", "TWELVELETTER", "12 characters"),
        ("TWILIO_PHONE_NUMBER", "messenger:123", "unknown channel"),
        ("SINCH_PHONE_NUMBER", "+1500555CALL", "12 characters"),
        ("SINCH_PHONE_NUMBER", "whatsapp:+15005550006", "sender for SMS"),
        ("SENDER_RATES", "TWELVELETTER:2", "12 characters"),
        ("SENDER_RATES", "+15005550006:1,+1 500 555 0006:2", "must not name a sender twice"),
        ("DEFAULT_REGION", "XX", "a country code"),
    ],
)
def test_invalid_sender_in_a_setting_is_refused(name: str, value: str, reason: str) -> None:
    [_, problem] = problems(**{name: value}).splitlines()
    assert problem.strip().startswith(f"{name}: ")
    assert reason in problem


def test_other_variables_are_ignored() -> None:
    assert Settings.load({**GOOD, "PATH": "/usr/bin", "public_base_url": "x"}).log_level == "INFO"


def test_environment_overrides_env_file(
    empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**GOOD, "LOG_LEVEL": "ERROR", "SEND_PATIENCE": "5"}
    (empty_directory / ".env").write_text(
        "".join(f"{name}={value}\n" for name, value in values.items())
    )
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    settings = Settings.load()
    assert (settings.log_level, settings.send_patience) == ("DEBUG", 5)


def test_env_file_is_optional(empty_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == Settings.load(GOOD)


class Example(NamedTuple):
    """One setting in `.env.example`."""

    name: str
    value: str
    commented: bool
    description: str


def examples() -> Iterator[Example]:
    for block in EXAMPLE.read_text().strip().split("\n\n")[1:]:
        *comment, assignment = block.splitlines()
        name, _, value = assignment.removeprefix("# ").partition("=")
        text = " ".join(line.removeprefix("# ") for line in comment)
        yield Example(name, value, assignment.startswith("#"), text)


def test_example_file_has_every_setting() -> None:
    names = sorted(example.name for example in examples())
    assert names == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_example_file_describes_setting_and_default(example: Example) -> None:
    field = Settings.model_fields[example.name.lower()]
    assert example.description == field.description
    assert example.commented is not field.is_required()
    if example.commented:
        base = SINCH_ALONE if example.name.startswith("TWILIO_") else GOOD
        assert default_of(Settings.load({**base, example.name: example.value}), example) == (
            None if field.default is PydanticUndefined else field.default
        )


def default_of(settings: Settings, example: Example) -> Any:
    return getattr(settings, example.name.lower())


UNREACHABLE = [
    *("http://localhost:8000", "https://LOCALHOST.", "https://a.localhost", "http://waybill"),
    *("http://127.0.0.1:8000", "http://127.1", "http://0x7f.0.0.1", "http://2130706433"),
    *("http://0.0.0.0", "http://10.0.0.5", "http://172.16.1.1", "https://192.168.1.20"),
    *("http://169.254.1.1", "http://100.64.0.1", "http://192.0.2.1", "http://224.0.0.1"),
    *("http://[::1]:8000", "http://[fe80::1]", "http://[fd00::1]", "http://[::ffff:10.0.0.1]"),
    *("http://[2002:7f00:1::]", "http://[::]"),
    *("https://sms.local", "https://sms.internal", "https://sms.test", "https://sms.lan"),
    *("https://sms.example", "https://sms.invalid", "https://sms.home.arpa", "https://sms.corp"),
    *("https://s_ms.example.com", "https://-a.example.com", "https://a..example.com"),
]


@pytest.mark.parametrize("address", UNREACHABLE)
def test_unreachable_public_url_is_refused(address: str) -> None:
    text = problems(PUBLIC_BASE_URL=address)
    assert "PUBLIC_BASE_URL: " in text
    assert "no provider can reach it" in text or "valid host name" in text
    empty_directory = {"TWILIO_API_BASE_URL": "http://127.0.0.1:4010"}
    assert Settings.load({**GOOD, "PUBLIC_BASE_URL": address, **empty_directory})


def test_unreachable_url_error_suggests_a_tunnel() -> None:
    text = problems(PUBLIC_BASE_URL="http://localhost:8000")
    assert "localhost is an internal host name" in text
    assert "tunnel" in text


@pytest.mark.parametrize(
    "address",
    [
        *(
            "https://sms.example.com",
            "http://sms.example.com:8080/prefix",
            "https://a.trycloudflare.com",
        ),
        *(
            "http://93.184.215.14",
            "http://[2606:2800:21f::1]:8443",
            "https://xn--bcher-kva.example.com",
        ),
    ],
)
def test_reachable_public_url_is_accepted(address: str) -> None:
    assert Settings.load({**GOOD, "PUBLIC_BASE_URL": address}).callback_base_url == address


@pytest.mark.parametrize("api", [None, "https://eu.sms.api.sinch.com"])
def test_second_real_provider_needs_a_public_url(api: str | None) -> None:
    inside = {"PUBLIC_BASE_URL": "http://localhost", "TWILIO_API_BASE_URL": "http://127.0.0.1:1"}
    assert "tunnel" in problems(**SINCH, **inside, **({"SINCH_API_BASE_URL": api} if api else {}))
    simulated = {**GOOD, **SINCH, **inside, "SINCH_API_BASE_URL": "http://127.0.0.1:1"}
    assert Settings.load(simulated)


def test_public_url_may_be_a_list() -> None:
    value = "https://new.example.com/ , https://old.example.com,https://new.example.com"
    settings = Settings.load({**GOOD, "PUBLIC_BASE_URL": value})
    assert settings.callback_base_url == "https://new.example.com"
    assert settings.accepted_base_urls == ("https://new.example.com", "https://old.example.com")


def test_old_public_url_may_be_unreachable() -> None:
    assert Settings.load({**GOOD, "PUBLIC_BASE_URL": "https://sms.example.com,http://localhost"})


@pytest.mark.parametrize(
    "value",
    [",", "https://a.example.com,ftp://b", ",".join(f"https://{n}.example.com" for n in range(6))],
)
def test_invalid_list_of_public_urls_is_refused(value: str) -> None:
    assert "PUBLIC_BASE_URL: must" in problems(PUBLIC_BASE_URL=value)


@pytest.mark.parametrize(
    "value", ["rc=5", "#rc=5&rp=all", "ct=2000&rt=4000&rp=5xx,ct&sni=n&e=dublin"]
)
def test_callback_overrides_are_accepted(value: str) -> None:
    settings = Settings.load({**GOOD, "TWILIO_CALLBACK_OVERRIDES": value})
    assert settings.twilio_callback_overrides == value.removeprefix("#")


@pytest.mark.parametrize("value", ["off", "rc=9", "rp=sometimes", "rc=5;rp=all", "retries=5", "rc"])
def test_unknown_callback_overrides_are_refused(value: str) -> None:
    assert "TWILIO_CALLBACK_OVERRIDES: must be none" in problems(TWILIO_CALLBACK_OVERRIDES=value)
