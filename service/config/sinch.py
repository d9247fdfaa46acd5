"""The settings of Sinch. Without a service plan there is no Sinch."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from service.config.public_urls import PublicSettings, is_host_of
from service.config.senders import SmsSenderSetting
from service.config.types import HttpUrl, PathSecret, Seconds, Secrets

# The longest wait before a retry is 81,920 s, all of them together are 163,835 s:
# https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
_TWO_DAYS = 172_800.0


class SinchSettings(PublicSettings):
    """What Sinch needs; the description is the sentence in `.env.example`."""

    sinch_service_plan_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="The Sinch service plan that sends; unset: there is no Sinch.",
    )
    sinch_api_token: SecretStr | None = Field(
        default=None,
        description="The API token of that service plan.",
    )
    sinch_region: str = Field(
        default="us",
        pattern=r"^(us|eu|au|br|ca)$",
        description="Where the service plan lives: us, eu, au, br or ca.",
    )
    sinch_phone_number: SmsSenderSetting | None = Field(
        default=None,
        description="The sender used at Sinch when a message names none.",
    )
    sinch_callback_secrets: Secrets = Field(
        default=(),
        description="Secrets that may sign Sinch's callbacks, comma between: two for a rotation.",
    )
    sinch_callback_path_secret: PathSecret | None = Field(
        default=None,
        description="For a plan that cannot sign: the secret part of its callback addresses.",
    )
    sinch_callback_window: float = Field(
        default=_TWO_DAYS,
        gt=0,
        le=31_536_000,
        description="Seconds for which a signature of Sinch's is good.",
    )
    sinch_older_signature: bool = Field(
        default=False,
        description="Take x-sinch-signature over timestamp and body, too: undocumented.",
    )
    sinch_api_base_url: HttpUrl | None = Field(
        default=None,
        description="Another server in Sinch's place, such as the simulator.",
    )
    sinch_connect_timeout: Seconds = Field(
        default=3.0,
        description="Seconds to wait for a connection to Sinch.",
    )
    sinch_read_timeout: Seconds = Field(
        default=10.0,
        description="Seconds to wait for Sinch's answer; after that a send is in doubt.",
    )

    def calls_real_provider(self) -> bool:
        """Tell whether messages may go to a provider itself, and not to a simulator."""
        elsewhere = self.sinch_api_base_url
        real = elsewhere is None or is_host_of(elsewhere, "sinch.com")
        return super().calls_real_provider() or (real and self.sinch_service_plan_id is not None)

    @model_validator(mode="after")
    def _sinch_is_whole(self) -> Self:
        if self.sinch_service_plan_id is None:
            return self
        if self.sinch_api_token is None:
            raise ValueError("SINCH_API_TOKEN: needed with SINCH_SERVICE_PLAN_ID")
        if bool(self.sinch_callback_secrets) == bool(self.sinch_callback_path_secret):
            raise ValueError(
                "SINCH_CALLBACK_SECRETS: give them, or SINCH_CALLBACK_PATH_SECRET for a plan that "
                "cannot sign, and not both"
            )
        return self
