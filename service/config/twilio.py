"""Settings of Twilio."""

from pydantic import BaseModel, Field, SecretStr

from service.config.senders import SenderSetting, ServiceSetting
from service.config.types import CallbackOverrides, ExtraTokens, Seconds, SharedKeys


class TwilioSettings(BaseModel):
    """Settings of Twilio. The descriptions are also the text of `.env.example`."""

    twilio_account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$",
        description="Twilio account that sends: AC and 32 hexadecimal digits.",
    )
    twilio_auth_token: SecretStr = Field(
        min_length=1,
        description="Primary auth token of that account. It authenticates sends and signs "
        "callbacks.",
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
