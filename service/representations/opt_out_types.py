"""Types of opt-outs in the JSON of the API."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from service.representations.types import Time


class OptOut(TypedDict):
    """A person who opted out of messages from a sender. Messages to them are not sent."""

    number: Annotated[
        str,
        Field(description="The person, without `rcs:`: an opt-out over RCS is one over SMS, too."),
    ]
    sender: Annotated[
        str, Field(description="A sender, the id of a Messaging Service, or `*` for every sender.")
    ]
    provider: Annotated[
        str, Field(description="The provider of the sender, or `*` for every provider.")
    ]
    since: Annotated[Time, Field(description="When it began.")]
    reason: Annotated[
        str,
        Field(
            description="How it began: by a `keyword` such as STOP, by a refusal of the "
            "`provider`, by a `client`, an `operator` or an `import`.",
            json_schema_extra={"enum": ["keyword", "provider", "client", "operator", "import"]},
        ),
    ]
    changed_by: Annotated[
        str,
        Field(
            description="`recipient`, `provider`, `client NAME`, `operator NAME` or `command`.",
            examples=["client billing"],
        ),
    ]
    error_code: Annotated[
        str | None, Field(description="The code of the provider's refusal, if there was one.")
    ]


class OptOuts(TypedDict):
    """The opt-outs of a person."""

    opt_outs: list[OptOut]


class OptOutPage(TypedDict):
    """A page of opt-outs, by number and sender."""

    opt_outs: list[OptOut]
    next_cursor: Annotated[
        str | None,
        Field(description="The `cursor` of the next page; null on the last page."),
    ]
