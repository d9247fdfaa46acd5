"""Store callbacks in the table `overflow` while the inbox is unavailable."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.database import OVERFLOW, db
from service.errors import OverflowUnavailable
from service.providers.base import Callback


class OverflowTable:
    """Stores callbacks over its own connections. After a failure it refuses for one second.

    Otherwise each callback would wait for the same unavailable database.
    """

    def __init__(
        self,
        context: Callable[[], AbstractContextManager[object]],
        insert: Callable[[Callback, Connection], None],
    ) -> None:
        self._context = context
        self._insert = insert
        self._breaker = CircuitBreaker()

    def put(self, callback: Callback) -> None:
        """Store a callback. Raises OverflowUnavailable, within seconds."""
        try:
            with self._breaker:
                self._store(callback)
        except (OSError, CircuitOpen) as error:
            raise OverflowUnavailable(str(error) or type(error).__name__) from error

    def _store(self, callback: Callback) -> None:
        try:
            with self._context(), db.engines[OVERFLOW].begin() as connection:
                self._insert(callback, connection)
        except SQLAlchemyError as error:
            raise ConnectionError(type(error).__name__) from error  # it opens the breaker
