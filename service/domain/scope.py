"""The part of the traffic that a hold stops."""

from enum import StrEnum


class Scope(StrEnum):
    """What the held messages have in common, widest first."""

    PROVIDER = "provider"
    CLIENT = "client"
    ACCOUNT = "account"
    COUNTRY = "country"  # of the recipient, for one account
    SENDER = "sender"  # of one account
