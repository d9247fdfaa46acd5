"""Settings of sending, limits and reconciliation."""

from pydantic import BaseModel, Field

from service.config.accounts_file import AccountsFile
from service.config.routes import Routes
from service.config.senders import RatedSenders
from service.config.types import PostLimits, Seconds


class SendingSettings(BaseModel):
    """Settings of sending. The descriptions are also the text of `.env.example`."""

    accounts_file: AccountsFile | None = Field(
        default=None,
        description="TOML file with further accounts of the providers. Unset: only the accounts "
        "of the other settings, each with the name default. docs/accounts.md shows one.",
    )
    default_provider: str | None = Field(
        default=None,
        description="Provider used when the message names none and no route matches. Unset: "
        "twilio if it is configured, else sinch.",
    )
    sms_routes: Routes = Field(
        default=(),
        description="Providers by the longest matching prefix of the recipient, in order: "
        "+46:sinch>twilio,*:twilio. * matches every number. A later provider takes a message that "
        "the earlier ones cannot send. twilio/marketing is the account marketing of twilio.",
    )
    sender_rates: RatedSenders = Field(
        default=(),
        description="Segments per second of each sender, over all replicas: +15005550006:10,*:1. * "
        "is any other sender. Set what the provider grants. Unset: no limit.",
    )
    rate_limit_posts: PostLimits | None = Field(
        default=None,
        description="Number of messages that each client may post: 100/second;5000/minute. Unset: "
        "no limit.",
    )
    claim_lease: Seconds = Field(
        default=60.0,
        description="Seconds after which the worker that claimed a message counts as dead. Calls "
        "start in the first half only, so half of it must exceed connect and read timeout "
        "together; for a project of Sinch, twice these timeouts.",
    )
    send_patience: float = Field(
        default=14_400,
        ge=1,
        le=3_024_000,
        description="Seconds after which a message that was not sent expires, if the request names "
        "no deadline. The default is 4 hours.",
    )
    failover_after: float = Field(
        default=30.0,
        ge=0,
        le=86_400,
        description="Seconds without acceptance by one provider after which the next provider of "
        "SMS_ROUTES takes the message.",
    )
    doubt_first_lookup: Seconds = Field(
        default=10.0,
        description="Seconds until a send without an answer is looked up. The pause doubles after "
        "each look-up.",
    )
    doubt_lookups: int = Field(
        default=5,
        ge=1,
        le=10,
        description="Number of look-ups without a result after which resend_if_unknown decides. "
        "With the defaults this takes about 5 minutes.",
    )
    reconcile_after: float = Field(
        default=43_200,
        gt=0,
        le=31_536_000,
        description="Seconds without a final status until the provider is polled. The default is "
        "12 hours.",
    )
    reconcile_horizon: float = Field(
        default=345_600,
        gt=0,
        le=31_536_000,
        description="Seconds after which polling ends and the outcome is reported as unknown. The "
        "default is 4 days.",
    )
    reconcile_budget: int = Field(
        default=5,
        ge=1,
        le=500,
        description="Maximum number of look-ups per second, and of polls per second. Lower it if "
        "the provider limits requests.",
    )
