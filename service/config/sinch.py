"""Settings of Sinch. Sinch is used only with a service plan or a project."""

from pydantic import Field

from service.config.accounts import Secret, SinchAccount, SinchId, SinchRegion
from service.config.public_urls import PublicSettings
from service.config.senders import SmsSenderSetting
from service.config.types import HttpUrl, PathSecret, Seconds, Secrets

# Sinch retries a callback for up to 163,835 s (the longest pause is 81,920 s):
# https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
_TWO_DAYS = 172_800.0


class SinchSettings(PublicSettings):
    """Settings of Sinch. The descriptions are also the text of `.env.example`."""

    sinch_service_plan_id: SinchId | None = Field(
        default=None,
        description="Sinch service plan that sends. Unset: Sinch is used only with a project or "
        "with accounts of ACCOUNTS_FILE.",
    )
    sinch_api_token: Secret | None = Field(
        default=None,
        description="API token of that service plan. Required with a service plan.",
    )
    sinch_project_id: SinchId | None = Field(
        default=None,
        description="Sinch project that sends, in place of a service plan.",
    )
    sinch_key_id: str | None = Field(
        default=None,
        description="Id of an access key of that project. Required with a project.",
    )
    sinch_key_secret: Secret | None = Field(
        default=None,
        description="Secret of that access key. Required with a project.",
    )
    sinch_region: SinchRegion = Field(
        default="us",
        description="Region of the service plan or project: us, eu, au, br or ca.",
    )
    sinch_phone_number: SmsSenderSetting | None = Field(
        default=None,
        description="Sender of messages over Sinch that name no sender.",
    )
    sinch_callback_secrets: Secrets = Field(
        default=(),
        description="Secrets that may sign Sinch's callbacks, separated by commas: two during a "
        "rotation. An account needs this or SINCH_CALLBACK_PATH_SECRET.",
    )
    sinch_callback_path_secret: PathSecret | None = Field(
        default=None,
        description="Secret part of the callback URLs of an account that cannot sign: 16 to 64 "
        "letters, digits, - or _.",
    )
    sinch_callback_window: float = Field(
        default=_TWO_DAYS,
        gt=0,
        le=31_536_000,
        description="Seconds for which a signature of Sinch is valid. Sinch retries for 45 hours, "
        "possibly with the first timestamp: a shorter window refuses late retries.",
    )
    sinch_older_signature: bool = Field(
        default=False,
        description="Accept also the undocumented header x-sinch-signature over timestamp and "
        "body. Set True only if your plan sends it.",
    )
    sinch_api_base_url: HttpUrl | None = Field(
        default=None,
        description="URL of a server in place of Sinch's API, such as the simulator. Unset: Sinch.",
    )
    sinch_connect_timeout: Seconds = Field(
        default=3.0,
        description="Connect timeout for calls to Sinch, in seconds.",
    )
    sinch_read_timeout: Seconds = Field(
        default=10.0,
        description="Read timeout for calls to Sinch, in seconds. A send that exceeds it is in "
        "doubt.",
    )

    @property
    def default_sinch_account(self) -> SinchAccount | None:
        """Return the account of these settings."""
        if not (self.sinch_service_plan_id or self.sinch_project_id):
            return None
        return SinchAccount(
            service_plan_id=self.sinch_service_plan_id,
            api_token=self.sinch_api_token,
            project_id=self.sinch_project_id,
            key_id=self.sinch_key_id,
            key_secret=self.sinch_key_secret,
            region=self.sinch_region,
            phone_number=self.sinch_phone_number,
            callback_secrets=self.sinch_callback_secrets,
            callback_path_secret=self.sinch_callback_path_secret,
        )
