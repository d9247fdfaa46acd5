"""Read ACCOUNTS_FILE, and list every problem in it without its secrets."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ValidationError, ValidationInfo

from service.config.accounts import GAPS, MODELS, Accounts
from service.domain.account import DEFAULT_ACCOUNT
from service.errors import as_requirement

_MAX_BYTES: Final = 1_000_000
_FIELD: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_WRONG_FORM: Final = {
    "name": "must be 1 to 32 lower-case letters, digits, - or _, and begin with a letter or digit",
    "account_sid": "must be AC and 32 hexadecimal digits",
    "api_key_sid": "must be SK and 32 hexadecimal digits",
    "messaging_service_sid": "must be MG and 32 hexadecimal digits",
    "routes": "must be * or the begin of a number with +, such as +46",
    "region": "must be a region such as ie1",
    "edge": "must be an edge such as dublin",
    "service_plan_id": "must be 1 to 64 letters, digits, - or _",
    "project_id": "must be 1 to 64 letters, digits, - or _",
}
_LISTS: Final = "must be one or more tables, each headed [[{0}]]"


def read(path: str, region: str | None) -> Accounts:
    """Return the accounts in a TOML file. Raises ValueError with a line for each problem.

    `region` is the country of numbers without +.
    """
    try:
        content = _parsed(_content(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    problems = [*_shape(content), *_missing(content)]
    accounts = Accounts()
    try:
        accounts = Accounts.model_validate(content, context={"default_region": region})
    except ValidationError as error:
        details = error.errors(include_input=False, include_context=False, include_url=False)
        problems += [_problem(content, each["loc"], each["type"], each["msg"]) for each in details]
    if problems:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    return accounts


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"must have at most {_MAX_BYTES:,} bytes; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("must be text in UTF-8") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # The error itself may quote the line.
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)$", str(error))
        where = place[1] if place else "some line"
        raise ValueError(f"must be TOML, but has an error at {where}") from None


def _shape(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the file as a whole."""
    if not any(content.get(provider) for provider in MODELS):
        yield "has no accounts; begin each with [[twilio]] or [[sinch]]"
    for provider in MODELS:
        names = [_name(account) for account in _tables(content, provider)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{provider}: several accounts have the name {name}; rename all but one"


def _missing(content: Mapping[str, Any]) -> Iterator[str]:
    for provider, gaps in GAPS.items():
        for index, account in enumerate(_tables(content, provider)):
            fields = {field for field, value in account.items() if value not in ("", [])}
            valid = fields.intersection(MODELS[provider].model_fields)
            for field, text in gaps({*valid, "account_sid"}, str) if valid else ():
                yield f"{_place(content, provider, index)}, {field}: {text}"


def _problem(
    content: Mapping[str, Any], location: tuple[int | str, ...], kind: str, message: str
) -> str:
    """Return the place of an error of pydantic, what is wrong, and what to do."""
    provider, index, *steps = (*location, None, None)[: max(len(location), 2)]
    if not isinstance(index, int):
        if provider in MODELS:
            return f"{provider}: {_LISTS.format(provider)}"
        return f"{_shown(provider)}: is not a provider; use twilio or sinch"
    place = _place(content, str(provider), index)
    if not steps:
        return f"{place}: {_LISTS.format(provider)}"
    field = ".".join(_shown(step) for step in steps)
    return f"{place}, {field}: {_text(str(provider), steps, kind, message)}"


def _text(provider: str, steps: list[Any], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        names = get_close_matches(str(steps[0]), MODELS[provider].model_fields, 1)
        hint = f"; did you mean {names[0]}?" if names and len(steps) == 1 else "; remove it"
        return f"is not a known field{hint}"
    if kind == "string_pattern_mismatch":
        return _WRONG_FORM[str(steps[0])]
    return as_requirement(message)


def _place(content: Mapping[str, Any], provider: str, index: int) -> str:
    return f"{provider} account {_name(_tables(content, provider)[index]) or f'number {index + 1}'}"


def _name(account: Mapping[str, Any]) -> str:
    """Return the name of an account; nothing if it is not valid and may be a secret."""
    name = account.get("name", DEFAULT_ACCOUNT)
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""


def _tables(content: Mapping[str, Any], provider: str) -> list[dict[str, Any]]:
    accounts = content.get(provider)
    if not isinstance(accounts, list):
        return []
    return [account if isinstance(account, dict) else {} for account in accounts]


def _shown(step: object) -> str:
    """Return the name of a field, unless it may be a secret at the wrong place."""
    text = str(step)
    return text if _FIELD.fullmatch(text) or text.startswith("+") else "a field"


def _accounts(value: Any, info: ValidationInfo) -> Any:
    return read(value, info.data.get("default_region")) if isinstance(value, str) else value


AccountsFile = Annotated[Accounts, BeforeValidator(_accounts)]
