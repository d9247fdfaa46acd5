"""The webhook URLs of inbound messages, as a customer sets them in the provider's console."""

from collections.abc import Mapping

from simulator.accounts import Account, Accounts

_PROVIDERS = ("twilio", "sinch")


class InboundUrls:
    """The webhook URL of each provider, or of one of its accounts."""

    def __init__(self, accounts: Accounts, urls: Mapping[str, str]) -> None:
        self._known = {*_PROVIDERS, *(account.id for account in accounts)}
        self._urls: dict[str, str] = {}
        self.set(urls)

    @property
    def urls(self) -> Mapping[str, str]:
        """Return the URLs by provider or account."""
        return dict(self._urls)

    def set(self, urls: Mapping[str, str | None]) -> None:
        """Change these URLs; None removes one. Raises ValueError, and changes nothing."""
        for name, url in urls.items():
            if name not in self._known:
                raise ValueError(f"no provider or account {name}; use {sorted(self._known)}")
            if url is not None and not str(url).startswith(("http://", "https://")):
                raise ValueError(f"the URL of {name} must begin with http:// or https://")
        merged = {**self._urls, **urls}
        self._urls = {name: url for name, url in merged.items() if url is not None}

    def of(self, account: Account) -> str | None:
        """Return the URL of an account, else that of its provider."""
        return self._urls.get(account.id) or self._urls.get(account.provider)
