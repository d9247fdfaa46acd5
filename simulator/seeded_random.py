"""Random numbers that depend only on their key, so that the same seed gives the same run."""

from hashlib import blake2b

_BITS = 53  # the precision of a float; more bits could round up to 1.0


def draw(*key: object) -> float:
    """Return a number in [0, 1) that is the same for the same key in every process."""
    text = "|".join(map(str, key))
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int(int.from_bytes(digest) >> (64 - _BITS)) / (1 << _BITS)
