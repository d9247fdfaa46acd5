"""Check settings that depend on each other."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple

from service.config.accounts import GAPS, MODELS, SinchAccount, TwilioAccount
from service.config.providers import ProviderSettings
from service.config.public_urls import unreachable
from service.config.stores import StoreSettings
from service.domain.account import DEFAULT_ACCOUNT
from service.redis_client.url import check_broker, parse_redis_url

# Seconds between the end of the longest call and the end of its claim, to record the answer.
_MARGIN: Final = 5.0
# Fields of accounts that settings have for every account.
_COMMON: Final = {"name", "sender_rates", "routes"}


class CheckedSettings(ProviderSettings, StoreSettings):
    """The settings that depend on each other."""


class Problem(NamedTuple):
    """What is wrong with a setting, and the other settings that it depends on."""

    setting: str
    text: str
    others: tuple[str, ...] = ()


def problems(settings: CheckedSettings, faulty: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield each setting that does not fit the others, and what to do.

    Checks of `faulty` settings are left out: they have no value.
    """
    for check in (_accounts, _lease, _providers, _names, _routes, _address, _broker):
        for problem in check(settings):
            if not {problem.setting, *problem.others}.intersection(faulty):
                yield problem.setting, problem.text


def _accounts(settings: ProviderSettings) -> Iterator[Problem]:
    """Check the accounts that settings describe, by the rules for those of a file."""
    for provider, model in MODELS.items():
        names = {field: f"{provider}_{field}" for field in model.model_fields.keys() - _COMMON}
        fields = {field for field, name in names.items() if name in settings.given}
        # A region has a default, and does not make an account.
        if fields - {"region"}:
            for field, text in GAPS[provider](fields, partial(_setting, provider)):
                yield Problem(names[field], text, tuple(names[each] for each in fields))


def _setting(provider: str, field: str) -> str:
    return f"{provider}_{field}".upper()


def _lease(settings: ProviderSettings) -> Iterator[Problem]:
    twilio = settings.twilio_connect_timeout + settings.twilio_read_timeout
    sinch = settings.sinch_connect_timeout + settings.sinch_read_timeout
    if any(_is_project(account) for account in settings.accounts.get("sinch", {}).values()):
        sinch *= 2  # a call may first request an access token
    longest = max(twilio, sinch)
    if settings.claim_lease < longest + _MARGIN:
        yield Problem(
            "claim_lease",
            f"must be at least {longest + _MARGIN:g}, to exceed connect and read timeout together "
            f"by {_MARGIN:g} s (twice the timeouts for a project of Sinch, whose calls may first "
            "request an access token)",
            tuple(f"{name}_timeout" for name in ("twilio_read", "sinch_read")),
        )


def _is_project(account: TwilioAccount | SinchAccount) -> bool:
    return isinstance(account, SinchAccount) and account.project_id is not None


def _providers(settings: ProviderSettings) -> Iterator[Problem]:
    configured = settings.accounts
    if not configured:
        yield Problem(
            "twilio_account_sid",
            "configure a provider: set this and TWILIO_AUTH_TOKEN, or SINCH_SERVICE_PLAN_ID and "
            "SINCH_API_TOKEN, or ACCOUNTS_FILE",
            (
                "accounts_file",
                *(name for name in settings.given if name.startswith(("sinch", "twilio"))),
            ),
        )
    elif settings.default_provider not in (None, *configured):
        names = " or ".join(configured)
        yield Problem("default_provider", f"must be a configured provider: {names}", _SOURCES)


_SOURCES: Final = (
    "accounts_file",
    "twilio_account_sid",
    "sinch_service_plan_id",
    "sinch_project_id",
)


def _names(settings: ProviderSettings) -> Iterator[Problem]:
    file = settings.accounts_file
    if file is None:
        return
    pairs: Mapping[str, tuple[object, Collection[TwilioAccount | SinchAccount]]] = {
        "twilio": (settings.default_twilio_account, file.twilio),
        "sinch": (settings.default_sinch_account, file.sinch),
    }
    for provider, (default, listed) in pairs.items():
        if default and any(account.name == DEFAULT_ACCOUNT for account in listed):
            yield Problem(
                "accounts_file",
                f"{provider} account default: the settings {provider.upper()}_... describe an "
                "account of this name; give this one another name, or remove the settings",
            )


def _routes(settings: ProviderSettings) -> Iterator[Problem]:
    configured = settings.accounts
    if not configured:
        return
    targets = {target for route in settings.sms_routes for target in route.targets}
    unknown = sorted(each.provider for each in targets if each.provider not in configured)
    if unknown:
        text = f"{unknown[0]} must be a configured provider: {' or '.join(configured)}"
        yield Problem("sms_routes", text, _SOURCES)
    for target in sorted(targets, key=str):
        accounts = configured.get(target.provider)
        if accounts and target.account is not None and target.account not in accounts:
            yield Problem(
                "sms_routes",
                f"{target.provider}/{target.account} must name an account of {target.provider}: "
                f"{', '.join(accounts)}",
                _SOURCES,
            )


def _address(settings: ProviderSettings) -> Iterator[Problem]:
    """Check the URL of new messages. A simulator may reach URLs that providers cannot."""
    reason = unreachable(settings.callback_base_url)
    if reason is not None and settings.calls_real_provider():
        others = ("twilio_api_base_url", "sinch_api_base_url")
        yield Problem("public_base_url", reason, others)


def _broker(settings: CheckedSettings) -> Iterator[Problem]:
    if settings.broker_url is None:
        try:
            check_broker(parse_redis_url(settings.broker_address))
        except ValueError as error:
            yield Problem("broker_url", f"is unset, so that REDIS_URL is used, which {error}")
