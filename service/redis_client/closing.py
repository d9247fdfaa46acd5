"""Connections that close themselves on a failure, and when a server cannot serve."""

from typing import Any, Final

from redis.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    ResponseError,
)
from redis.utils import SENTINEL

# MasterDownError is a ClusterDownError, MovedError an AskError.
_UNAVAILABLE: Final = (ReadOnlyError, BusyLoadingError, ClusterDownError, AskError)


def is_unavailable(error: BaseException | None) -> bool:
    """Return whether a server answered that it is not the master, or not ready."""
    return isinstance(error, _UNAVAILABLE) or (
        isinstance(error, ResponseError) and "NOREPLICAS" in str(error)
    )


class _Closing(AbstractConnection):
    """Closes itself on a failure, and when the server answers that it cannot serve.

    A master that became a replica keeps its connections open; the next use must resolve the name
    again. redis-py's Sentinel connection stays open after a time-out, and the late answer would be
    read as that of the next command.
    """

    def read_response(
        self,
        disable_decoding: bool = False,
        *,
        timeout: Any = SENTINEL,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any:
        del disconnect_on_error  # always
        try:
            return super().read_response(
                disable_decoding, timeout=timeout, push_request=push_request,
                disconnect_on_error=True,
            )  # fmt: skip
        except ResponseError as error:
            if is_unavailable(error):
                self.disconnect()  # type: ignore[no-untyped-call]
            raise


def closing(connection_class: Any) -> Any:
    """Return a subclass of a connection class that closes itself."""
    if issubclass(connection_class, _Closing):
        return connection_class
    return type(f"Closing{connection_class.__name__}", (_Closing, connection_class), {})
