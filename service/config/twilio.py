"""Settings of Twilio."""

from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from service.config.accounts import ApiKeySid, TwilioAccount, TwilioSid
from service.config.senders import SenderSetting, ServiceSetting
from service.config.types import CallbackOverrides, ExtraTokens, Seconds, SharedKeys


class TwilioSettings(BaseModel):
    """Settings of Twilio. The descriptions are also the text of `.env.example`."""

    twilio_account_sid: TwilioSid | None = Field(
        default=None,
        description="Twilio account that sends: AC and 32 hexadecimal digits. Unset: Twilio is "
        "used only with accounts of ACCOUNTS_FILE.",
    )
    twilio_auth_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Primary auth token of that account. It signs callbacks and, without "
        "TWILIO_API_KEY_SID, authenticates sends.",
    )
    twilio_api_key_sid: ApiKeySid | None = Field(
        default=None,
        description="API key that authenticates sends in place of the auth token: SK and 32 "
        "hexadecimal digits.",
    )
    twilio_api_key_secret: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Secret of that API key.",
    )
    twilio_region: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2}[0-9]$",
        description="Twilio region that processes messages, such as ie1. It needs TWILIO_EDGE and "
        "credentials of that region. Unset: us1.",
    )
    twilio_edge: str | None = Field(
        default=None,
        pattern=r"^[a-z-]{2,32}$",
        description="Twilio edge of that region, such as dublin.",
    )
    twilio_phone_number: SenderSetting | None = Field(
        default=None,
        description="Sender of messages over Twilio that name no sender and no Messaging Service.",
    )
    twilio_messaging_service_sid: ServiceSetting | None = Field(
        default=None,
        description="Messaging Service of messages that name neither. It takes precedence over "
        "TWILIO_PHONE_NUMBER.",
    )
    twilio_extra_auth_tokens: ExtraTokens = Field(
        default=(),
        description="Further tokens that may sign callbacks, such as the old token during a "
        "rotation: account:label:token, separated by commas.",
    )
    twilio_shared_keys: SharedKeys = Field(
        default=(),
        description="Webhook shared keys that may sign callbacks: key id:algorithm:secret, "
        "separated by commas.",
    )
    twilio_connect_timeout: Seconds = Field(
        default=3.0,
        description="Connect timeout for calls to Twilio, in seconds.",
    )
    twilio_read_timeout: Seconds = Field(
        default=10.0,
        description="Read timeout for calls to Twilio, in seconds. A send that exceeds it is in "
        "doubt.",
    )
    twilio_callback_overrides: CallbackOverrides = Field(
        default="ct=2000&rt=4000&tt=15000&rc=5&rp=all",
        description="Connection overrides: how Twilio retries a callback. none: Twilio's defaults.",
    )

    @model_validator(mode="after")
    def _twilio_is_complete(self) -> Self:
        if self.twilio_account_sid is None:
            if self.twilio_auth_token is not None or self.twilio_api_key_sid is not None:
                raise ValueError("TWILIO_ACCOUNT_SID: is required with credentials of Twilio")
            return self
        if (self.twilio_api_key_sid is None) != (self.twilio_api_key_secret is None):
            raise ValueError("TWILIO_API_KEY_SECRET: is required with TWILIO_API_KEY_SID")
        signs = (self.twilio_auth_token, self.twilio_extra_auth_tokens, self.twilio_shared_keys)
        if not any(signs) or not (self.twilio_auth_token or self.twilio_api_key_sid):
            raise ValueError(
                "TWILIO_AUTH_TOKEN: is required with TWILIO_ACCOUNT_SID, because it signs callbacks"
            )
        if (self.twilio_region is None) != (self.twilio_edge is None):
            raise ValueError(
                "TWILIO_EDGE: is required with TWILIO_REGION (dublin for ie1): Twilio does not "
                "serve a region without its edge"
            )
        return self

    @property
    def default_twilio_account(self) -> TwilioAccount | None:
        """Return the account of these settings."""
        if self.twilio_account_sid is None:
            return None
        return TwilioAccount(
            account_sid=self.twilio_account_sid,
            auth_token=self.twilio_auth_token,
            api_key_sid=self.twilio_api_key_sid,
            api_key_secret=self.twilio_api_key_secret,
            extra_auth_tokens=self.twilio_extra_auth_tokens,
            shared_keys=self.twilio_shared_keys,
            region=self.twilio_region,
            edge=self.twilio_edge,
            phone_number=self.twilio_phone_number,
            messaging_service_sid=self.twilio_messaging_service_sid,
        )
