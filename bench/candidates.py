"""What all candidates offer: a running server, its backlog, and what its database holds."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bench.callbacks import Sent


class Serving(Protocol):
    """A candidate that is up."""

    @property
    def url(self) -> str:
        """Return where the callbacks go."""

    def backlog(self) -> int:
        """Return how many accepted callbacks are not yet in the database."""

    def recorded(self) -> int:
        """Return how many distinct callbacks the database holds."""


class Candidate(Protocol):
    """A way to take callbacks."""

    name: str

    def serving(
        self, directory: Path, database: str, messages: Sequence[Sent]
    ) -> AbstractContextManager[Serving]:
        """Run the candidate on an empty database, filled with these messages."""
