"""Keep the lists of the codes that the providers publish; `errors.csv` must explain each of them.

`make error-codes` regenerates the lists from downloaded files and names the codes without a row.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from service.providers import error_table


class Source(NamedTuple):
    """Where a provider publishes its codes, and which of them concern messages."""

    address: str
    rule: str


SOURCES: Final[Mapping[str, Source]] = {
    "twilio": Source(
        "https://www.twilio.com/docs/api/errors/twilio-error-codes.json",
        "all codes of the messaging products, and the general codes of the API",
    ),
    "sinch": Source(
        "https://developers.sinch.com/docs/sms/: the tables of api-reference/sms/tag/"
        "Delivery-reports/, api-reference/status-codes/ and smpp/error-codes/",
        "all codes of answers and reports, without 0, 400 and 401, which are no errors",
    ),
}
_MESSAGING: Final = frozenset(
    {"programmable sms", "programmable messaging", "messaging", "channels"}
)
# Twilio names no product for its oldest and its general codes, or the product Platform.
_GENERAL: Final = frozenset({"", "platform"})
_GENERAL_CODES: Final = (
    *(range(10001, 10003), range(14101, 14112), range(20000, 21000), range(21210, 21220)),
    *(range(21264, 21269), range(21600, 21710), range(21900, 22000), range(30000, 30100)),
    *(range(60005, 60006), range(70000, 70100), range(90000, 90100)),
)
_NO_ERRORS: Final = frozenset({"0", "400", "401"})
_ROW: Final = re.compile(r"^\|\s*`?(\d{1,3})`?\s*\|([^|]*)\|([^|]*)", re.MULTILINE)
_WORD: Final = re.compile(r"`?([a-z]+(?:_[a-z]+)+)`?")


def published(provider: str) -> frozenset[str]:
    """Return the codes in the stored list of a provider."""
    lines = _list_of(provider).read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def from_twilio(text: str) -> dict[str, str]:
    """Return the messaging codes of Twilio's JSON file with their titles. Raises ValueError."""
    try:
        entries = [(int(entry["code"]), entry) for entry in json.loads(text)]
        return {str(code): entry["message"] for code, entry in entries if _is_messaging(entry)}
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            "not Twilio's list: a JSON list of objects with code, message and product is "
            f"needed, as in {SOURCES['twilio'].address}"
        ) from error


def from_sinch(text: str) -> dict[str, str]:
    """Return the codes of tables in Markdown with their titles. Raises ValueError."""
    codes = {}
    for number, second, third in _ROW.findall(text.replace("\\_", "_")):
        word = _WORD.fullmatch(second.strip())
        # In tables of answers the number is the HTTP status, and a word is the code.
        code, title = (word[1], third) if word else (number, second)
        codes[code] = title.strip()
    errors = {code: title for code, title in codes.items() if code not in _NO_ERRORS}
    if not errors:
        raise ValueError(
            "not a list of Sinch: Markdown tables that begin with a code are needed, as in "
            f"{SOURCES['sinch'].address}"
        )
    return errors


def unexplained(provider: str, codes: Iterable[str]) -> list[str]:
    """Return the codes without a row in `errors.csv`, in order."""
    return sorted(set(codes) - set(error_table.load(_table_of(provider))), key=_order)


def _is_messaging(entry: Mapping[str, Any]) -> bool:
    product, code = (entry["product"] or "").lower(), int(entry["code"])
    if product in _MESSAGING:
        return True
    return product in _GENERAL and any(code in codes for codes in _GENERAL_CODES)


def _table_of(provider: str) -> Path:
    return Path(__file__).parent / provider / "errors.csv"


def _list_of(provider: str) -> Path:
    return Path(__file__).parent / provider / "published_codes.txt"


def _order(code: str) -> tuple[int, str]:
    return int(code) if code.isdecimal() else 1_000_000, code


def _store(provider: str, codes: Iterable[str], date: str) -> None:
    source = SOURCES[provider]
    header = [f"# Source: {source.address}", f"# Date: {date}", f"# Rule: {source.rule}"]
    lines = [*header, *sorted(codes, key=_order)]
    _list_of(provider).write_text("\n".join(lines) + "\n")


_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--twilio", type=_file, multiple=True, help="Twilio's list, a JSON file.")
@click.option("--sinch", type=_file, multiple=True, help="A page of Sinch, as Markdown.")
@click.option("--date", default="", help="When the files were downloaded; today if not given.")
def main(twilio: tuple[Path, ...], sinch: tuple[Path, ...], date: str) -> None:
    """Regenerate the lists from downloaded files; fail if a code has no explanation."""
    if not twilio and not sinch:
        raise click.UsageError("name at least one file: --twilio FILE or --sinch FILE")
    complete = True
    for provider, files, parse in (("twilio", twilio, from_twilio), ("sinch", sinch, from_sinch)):
        titles: dict[str, str] = {}
        for file in files:
            try:
                titles |= parse(file.read_text())
            except ValueError as error:
                raise click.ClickException(f"{file}: {error}") from error
        if titles:
            _store(provider, titles, date or f"{datetime.now(UTC):%Y-%m-%d}")
            complete = _report(provider, titles) and complete
    if not complete:
        raise click.exceptions.Exit(1)


def _report(provider: str, titles: Mapping[str, str]) -> bool:
    """Print the codes without a row; return whether there are none."""
    missing = unexplained(provider, titles)
    click.echo(f"{provider}: {len(titles)} codes, {len(missing)} without an explanation")
    for code in missing:
        click.echo(f"  add to {provider}/errors.csv: {code} ({titles[code]})")
    return not missing


if __name__ == "__main__":
    main()
