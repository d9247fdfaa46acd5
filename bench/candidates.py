"""The interface of a candidate: a running server, its backlog, and its recorded callbacks."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bench.callbacks import SentMessage


class Serving(Protocol):
    """A running candidate."""

    @property
    def url(self) -> str:
        """Return the base URL of callbacks."""

    def backlog(self) -> int:
        """Return the number of accepted callbacks that are not yet recorded."""

    def recorded(self) -> int:
        """Return the number of distinct recorded callbacks."""


class Candidate(Protocol):
    """A design that receives and records callbacks."""

    name: str

    def serving(
        self, directory: Path, database: str, messages: Sequence[SentMessage]
    ) -> AbstractContextManager[Serving]:
        """Run the candidate with a database that contains only these messages."""
