"""The scope that a hold stops, as a value and in words."""

from typing import NamedTuple

from service.domain.scope import Scope


class Key(NamedTuple):
    """A scope: what the held messages have in common. Empty parts do not matter."""

    scope: Scope
    provider: str = ""
    account: str = ""
    value: str = ""

    def __str__(self) -> str:
        of_account = f" of {self.provider}/{self.account}" if self.account else ""
        return {
            Scope.PROVIDER: f"provider {self.provider}",
            Scope.CLIENT: f"client {self.value}",
            Scope.ACCOUNT: f"account {self.provider}/{self.account}",
            Scope.COUNTRY: f"messages to {self.value}{of_account}",
            Scope.SENDER: f"sender {self.value}{of_account}",
        }[self.scope]
