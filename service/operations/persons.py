"""Persons as operators enter them: a number in any notation, or a pseudonym."""

from service.addresses import UnusableAddress, recipient
from service.components import components


def person_in(text: str) -> str | None:
    """Return the address in a text that an operator entered; None for a text that is none."""
    try:
        return recipient(text, components().settings.default_region)
    except UnusableAddress:
        return None


def named(text: str) -> str:
    """Return the address in a text, else the text, which can be the pseudonym of a number."""
    return person_in(text) or text
