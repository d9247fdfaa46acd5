"""Request model of sending a message again."""

from pydantic import Field, StrictBool

from service.web.api.schemas import Strict


class Resend(Strict):
    """How to send a message again."""

    confirm_duplicate: StrictBool = Field(
        default=False,
        description="Send it also if it is unknown whether it was sent before. The recipient may "
        "then get it twice.",
    )
