"""Settings of Twilio."""

from pydantic import BaseModel, Field

from service.config.accounts import (
    ApiKeySid,
    Secret,
    TwilioAccount,
    TwilioEdge,
    TwilioRegion,
    TwilioSid,
)
from service.config.senders import SenderSetting, ServiceSetting
from service.config.types import CallbackOverrides, ExtraTokens, Seconds, SharedKeys


class TwilioSettings(BaseModel):
    """Settings of Twilio. The descriptions are also the text of `.env.example`."""

    twilio_account_sid: TwilioSid | None = Field(
        default=None,
        description="Twilio account that sends: AC and 32 hexadecimal digits. Unset: Twilio is "
        "used only with accounts of ACCOUNTS_FILE.",
    )
    twilio_auth_token: Secret | None = Field(
        default=None,
        description="Primary auth token of that account. It signs callbacks and, without "
        "TWILIO_API_KEY_SID, authenticates sends.",
    )
    twilio_api_key_sid: ApiKeySid | None = Field(
        default=None,
        description="API key that authenticates sends in place of the auth token: SK and 32 "
        "hexadecimal digits.",
    )
    twilio_api_key_secret: Secret | None = Field(
        default=None,
        description="Secret of that API key.",
    )
    twilio_region: TwilioRegion | None = Field(
        default=None,
        description="Twilio region that processes messages, such as ie1. It needs TWILIO_EDGE and "
        "credentials of that region. Unset: us1.",
    )
    twilio_edge: TwilioEdge | None = Field(
        default=None,
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
