"""Accounts of providers: their credentials, senders, rates and routes."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from service.config.senders import SenderSetting, ServiceSetting, SmsSenderSetting
from service.config.types import ExtraToken, PathSecret, SharedKey
from service.domain.account import DEFAULT_ACCOUNT

AccountName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
TwilioSid = Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
ApiKeySid = Annotated[str, Field(pattern=r"^SK[0-9a-fA-F]{32}$")]
Prefix = Annotated[str, Field(pattern=r"^(\*|\+[1-9]\d{0,14})$")]
Rate = Annotated[float, Field(gt=0, le=999_999)]
SinchRegion = Literal["us", "eu", "au", "br", "ca"]
_MAX_BYTES: Final = 1_000_000


class _Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName = DEFAULT_ACCOUNT
    sender_rates: Mapping[str, Rate] = {}
    routes: tuple[Prefix, ...] = ()


class TwilioAccount(_Account):
    """An account of Twilio. Calls use the API key if there is one, else the auth token."""

    account_sid: TwilioSid
    auth_token: SecretStr | None = Field(default=None, min_length=1)
    api_key_sid: ApiKeySid | None = None
    api_key_secret: SecretStr | None = Field(default=None, min_length=1)
    extra_auth_tokens: tuple[ExtraToken, ...] = ()
    shared_keys: tuple[SharedKey, ...] = ()
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}[0-9]$")
    edge: str | None = Field(default=None, pattern=r"^[a-z-]{2,32}$")
    phone_number: SenderSetting | None = None
    messaging_service_sid: ServiceSetting | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("must have both api_key_sid and api_key_secret, or neither")
        if self.auth_token is None and self.api_key_sid is None:
            raise ValueError("must have auth_token, or api_key_sid and api_key_secret")
        if not (self.auth_token or self.extra_auth_tokens or self.shared_keys):
            raise ValueError("must have auth_token or shared_keys, which sign its callbacks")
        if (self.region is None) != (self.edge is None):
            raise ValueError(
                "must have both region and edge, such as ie1 and dublin: Twilio does not serve a "
                "region without its edge"
            )
        return self


class SinchAccount(_Account):
    """A service plan of Sinch, or a project with an access key."""

    service_plan_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    api_token: SecretStr | None = Field(default=None, min_length=1)
    project_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    key_id: str | None = Field(default=None, min_length=1)
    key_secret: SecretStr | None = Field(default=None, min_length=1)
    region: SinchRegion = "us"
    phone_number: SmsSenderSetting | None = None
    callback_secrets: tuple[SecretStr, ...] = ()
    callback_path_secret: PathSecret | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        plan = (self.service_plan_id, self.api_token)
        project = (self.project_id, self.key_id, self.key_secret)
        if not all(plan) and not all(project):
            raise ValueError(
                "must have service_plan_id and api_token, or project_id, key_id and key_secret"
            )
        if any(plan) and any(project):
            raise ValueError("must have either a service plan or a project, not both")
        if bool(self.callback_secrets) == bool(self.callback_path_secret):
            raise ValueError(
                "must have either callback_secrets or, if it cannot sign, callback_path_secret"
            )
        return self


class Accounts(BaseModel):
    """The accounts in a file, by provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    twilio: tuple[TwilioAccount, ...] = ()
    sinch: tuple[SinchAccount, ...] = ()

    @field_validator("twilio", "sinch")
    @classmethod
    def _distinct_names(cls, accounts: tuple[_Account, ...]) -> tuple[_Account, ...]:
        names = [account.name for account in accounts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"must not have two accounts of one name: {', '.join(twice)}")
        return accounts


def _read(value: Any) -> Any:
    """Return the content of a TOML file. Raises ValueError, without any of its content."""
    if not isinstance(value, str):
        return value
    try:
        with Path(value).open("rb") as file:
            text = file.read(_MAX_BYTES).decode()
        return tomllib.loads(text)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(at " in str(error) else "its text"
        raise ValueError(f"must be TOML; see {place}") from None


AccountsFile = Annotated[Accounts, BeforeValidator(_read)]
