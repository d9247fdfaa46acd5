"""Draws that depend on nothing but their key, so that one seed tells one story."""

from hashlib import blake2b

_BITS = 53  # what a float holds exactly; more could round up to 1.0


def roll(*key: object) -> float:
    """Return a number in [0, 1) that is the same for the same key in every process."""
    text = "|".join(map(str, key))
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int(int.from_bytes(digest) >> (64 - _BITS)) / (1 << _BITS)
