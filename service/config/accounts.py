"""Accounts of providers: their credentials, senders, rates and routes."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from service.config.senders import SenderSetting, ServiceSetting, SmsSenderSetting, rates_by_sender
from service.config.types import ExtraToken, PathSecret, SharedKey
from service.domain.account import DEFAULT_ACCOUNT

AccountName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
TwilioSid = Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
ApiKeySid = Annotated[str, Field(pattern=r"^SK[0-9a-fA-F]{32}$")]
TwilioRegion = Annotated[str, Field(pattern=r"^[a-z]{2}[0-9]$")]
TwilioEdge = Annotated[str, Field(pattern=r"^[a-z-]{2,32}$")]
SinchId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
SinchRegion = Literal["us", "eu", "au", "br", "ca"]
Secret = Annotated[SecretStr, Field(min_length=1)]
_Prefix = Annotated[str, Field(pattern=r"^(\*|\+[1-9]\d{0,14})$")]
_Rate = Annotated[float, Field(gt=0, le=999_999)]

# A field that is missing or must be left out, and why.
Gap = tuple[str, str]
# The name of a field for a person: that of a setting, or that in a file.
Naming = Callable[[str], str]


def _distinct(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(prefixes)) < len(prefixes):
        raise ValueError("must not name a prefix twice")
    return prefixes


class _Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName = DEFAULT_ACCOUNT
    sender_rates: Mapping[str, _Rate] = {}
    routes: Annotated[tuple[_Prefix, ...], AfterValidator(_distinct)] = ()

    @field_validator("sender_rates")
    @classmethod
    def _normalised(cls, rates: Mapping[str, float], info: ValidationInfo) -> Mapping[str, float]:
        return rates_by_sender(rates, info)

    @property
    def senders(self) -> Collection[str]:
        """Return the senders of the account: its defaults, and those with a rate."""
        defaults = (getattr(self, name, None) for name in ("phone_number", "messaging_service_sid"))
        return {*filter(None, defaults), *self.sender_rates} - {"*"}


class TwilioAccount(_Account):
    """An account of Twilio. Calls use the API key if there is one, else the auth token."""

    account_sid: TwilioSid
    auth_token: Secret | None = None
    api_key_sid: ApiKeySid | None = None
    api_key_secret: Secret | None = None
    extra_auth_tokens: tuple[ExtraToken, ...] = ()
    shared_keys: tuple[SharedKey, ...] = ()
    region: TwilioRegion | None = None
    edge: TwilioEdge | None = None
    phone_number: SenderSetting | None = None
    messaging_service_sid: ServiceSetting | None = None


class SinchAccount(_Account):
    """A service plan of Sinch, or a project with an access key."""

    service_plan_id: SinchId | None = None
    api_token: Secret | None = None
    project_id: SinchId | None = None
    key_id: Annotated[str, Field(min_length=1)] | None = None
    key_secret: Secret | None = None
    region: SinchRegion = "us"
    phone_number: SmsSenderSetting | None = None
    callback_secrets: tuple[Secret, ...] = ()
    callback_path_secret: PathSecret | None = None


class Accounts(BaseModel):
    """The accounts in a file, by provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    twilio: tuple[TwilioAccount, ...] = ()
    sinch: tuple[SinchAccount, ...] = ()


def twilio_gaps(fields: Collection[str], named: Naming) -> Iterator[Gap]:
    """Yield what is missing in an account of Twilio that has the fields fields."""
    if "account_sid" not in fields:
        yield "account_sid", f"is required with {named(min(fields))}"
    if "api_key_sid" in fields and "api_key_secret" not in fields:
        yield "api_key_secret", f"is required with {named('api_key_sid')}"
    if "api_key_secret" in fields and "api_key_sid" not in fields:
        yield "api_key_sid", f"is required with {named('api_key_secret')}"
    signs = {"auth_token", "extra_auth_tokens", "shared_keys"}.intersection(fields)
    if not signs or not {"auth_token", "api_key_sid", "api_key_secret"}.intersection(fields):
        yield (
            "auth_token",
            f"is required; without it, set {named('api_key_sid')} and {named('api_key_secret')} "
            f"for calls, and {named('shared_keys')} for callbacks",
        )
    # Twilio stopped its hosts with a region and no edge on 28 April 2026:
    # https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region
    if "region" in fields and "edge" not in fields:
        yield "edge", f"is required with {named('region')}, such as dublin for ie1"
    if "edge" in fields and "region" not in fields:
        yield "region", f"is required with {named('edge')}, such as ie1 for dublin"


def sinch_gaps(fields: Collection[str], named: Naming) -> Iterator[Gap]:
    """Yield what is missing in an account of Sinch that has the fields fields."""
    plan = {"service_plan_id", "api_token"}
    project = {"project_id", "key_id", "key_secret"}
    if plan.intersection(fields) and project.intersection(fields):
        yield (
            "project_id",
            f"must be left out with {named('service_plan_id')}; so must "
            f"{named('key_id')} and {named('key_secret')}",
        )
    elif project.intersection(fields):
        for field in sorted(project.difference(fields)):
            yield field, "is required for a project with an access key"
    else:
        for field in sorted(plan.difference(fields), reverse=True):
            yield field, f"is required, unless {named('project_id')} is set"
    signing = {"callback_secrets", "callback_path_secret"}.intersection(fields)
    if len(signing) != 1:
        yield (
            "callback_secrets",
            f"set either this or, if Sinch cannot sign, {named('callback_path_secret')}",
        )


MODELS: Final[Mapping[str, type[BaseModel]]] = {"twilio": TwilioAccount, "sinch": SinchAccount}
GAPS: Final[Mapping[str, Callable[[Collection[str], Naming], Iterator[Gap]]]] = {
    "twilio": twilio_gaps,
    "sinch": sinch_gaps,
}
