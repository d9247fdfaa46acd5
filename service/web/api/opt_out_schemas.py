"""Request models of opt-outs."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from service.models import OptOut
from service.queries.opt_outs import Pair
from service.web.api.fields import ShortText
from service.web.api.schemas import Strict

_Address = Annotated[ShortText, Field(json_schema_extra={"format": "address"})]
_Sender = Annotated[ShortText, Field(json_schema_extra={"format": "sender"})]


def position_of(cursor: str) -> Pair:
    """Return the key in a cursor. Raises ValueError for other texts."""
    try:
        parts: Any = orjson.loads(urlsafe_b64decode(cursor.encode("ascii")))
        to, sender, provider = parts
    except (TypeError, ValueError):
        raise ValueError("must be a next_cursor of an earlier answer") from None
    if not all(isinstance(part, str) and "\x00" not in part for part in (to, sender, provider)):
        raise ValueError("must be a next_cursor of an earlier answer")
    return Pair(to, sender, provider)


def cursor_of(last: OptOut) -> str:
    """Return the key of an opt-out as text that clients do not interpret."""
    return urlsafe_b64encode(orjson.dumps([last.to, last.sender, last.provider])).decode()


def _cursor(text: str) -> str:
    position_of(text)
    return text


class OptOutChange(Strict):
    """From which sender a person opts out."""

    sender: _Sender | None = Field(
        default=None,
        description="A sender, or the id of a Messaging Service. Default: every sender.",
    )


class OptOutSelection(Strict):
    """Which opt-outs of a person end."""

    sender: _Sender | None = Field(
        default=None,
        description="Only the opt-out from this sender or Messaging Service; `*` is the one from "
        "every sender. Default: all.",
    )


class OptOutQuery(Strict):
    """Filters and page of a list of opt-outs."""

    number: _Address | None = Field(
        default=None,
        description="Opt-outs of this person. A number without a channel matches every channel.",
    )
    sender: _Sender | None = Field(
        default=None, description="Opt-outs from this sender or Messaging Service."
    )
    cursor: Annotated[str, AfterValidator(_cursor)] | None = Field(
        default=None, description="`next_cursor` of the previous page."
    )
    limit: int = Field(default=50, ge=1, le=200, description="Maximum number of opt-outs.")
