"""Routes: which providers to use for a recipient, in order."""

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from service.config.types import pairs

_TARGET: Final = r"[a-z]+(/[a-z0-9_-]{1,32})?"
_ROUTE: Final = re.compile(rf"(\*|\+[1-9]\d{{0,14}}):{_TARGET}(>{_TARGET})*")


class Target(BaseModel):
    """A provider, and one of its accounts if the route names it."""

    model_config = ConfigDict(frozen=True)
    provider: str
    account: str | None = None


class Route(BaseModel):
    """The providers for numbers with a prefix, in order; `*` matches every number."""

    model_config = ConfigDict(frozen=True)
    prefix: str
    targets: tuple[Target, ...]


def _routes(value: Any) -> Any:
    """Split `+46:sinch>twilio,*:twilio/marketing` into routes."""
    if not isinstance(value, str):
        return value
    example = "+46:sinch>twilio,*:twilio"
    return tuple(
        Route(prefix=prefix, targets=tuple(_target(text) for text in targets.split(">")))
        for prefix, targets in pairs(value, _ROUTE.pattern, example)
    )


def _target(text: str) -> Target:
    provider, _, account = text.partition("/")
    return Target(provider=provider, account=account or None)


Routes = Annotated[tuple[Route, ...], BeforeValidator(_routes)]
