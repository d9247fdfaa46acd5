"""Holds: the part of the traffic that they stop, and why."""

from enum import StrEnum


class Scope(StrEnum):
    """What the held messages have in common, widest first."""

    PROVIDER = "provider"
    CLIENT = "client"
    ACCOUNT = "account"
    COUNTRY = "country"  # of the recipient, for one account
    SENDER = "sender"  # of one account


class HoldKind(StrEnum):
    """Why messages of a scope wait, or may soon."""

    PAUSED = "paused"  # by an operator
    BLOCKED = "blocked"  # the provider refuses all messages of the scope
    # These two hold nothing. A sender is suspected until several messages were refused.
    SUSPECTED = "suspected"
    # The account accepts nothing at present: after a time, other providers take its messages.
    NOT_ACCEPTING = "not_accepting"


HOLDING = frozenset({HoldKind.PAUSED, HoldKind.BLOCKED})
