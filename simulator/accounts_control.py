"""The control API of the records of accounts."""

from aiohttp import web

from simulator.account_records import AccountRecords, Refusal
from simulator.accounts import Account, Accounts
from simulator.control_json import iso


class AccountsControl:
    """Shows what each account asked for, and which create requests made no message."""

    def __init__(self, accounts: Accounts, records: AccountRecords) -> None:
        self._accounts = accounts
        self._records = records

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/_simulator/accounts", self._read_totals),
            web.get("/_simulator/refusals", self._read_refusals),
        ]

    async def _read_totals(self, _: web.Request) -> web.Response:
        return web.json_response({"accounts": [*map(self._entry, self._accounts)]})

    async def _read_refusals(self, request: web.Request) -> web.Response:
        refusals = self._records.refusals(request.query.get("account"))
        return web.json_response({"refusals": [*map(_refusal, refusals)]})

    def _entry(self, account: Account) -> dict[str, object]:
        totals = self._records.of(account)
        return {
            "provider": account.provider,
            "id": account.id,
            "calls": totals.calls,
            "unauthorized": totals.unauthorized,
            "creates": totals.creates,
            "accepted": totals.accepted,
            "refused": totals.refused,
            "tokens": totals.tokens,
        }


def _refusal(refusal: Refusal) -> dict[str, object]:
    order = refusal.order
    return {
        "at": iso(refusal.at),
        "provider": refusal.account.provider,
        "account": refusal.account.id,
        "reason": refusal.reason,
        "outage": refusal.outage,
        "to": order and order.to,
        "from": order and (order.sender or order.service),
        "attempt_id": order and order.attempt_id,
    }
