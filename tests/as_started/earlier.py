"""The code of an earlier version, whose processes run beside those of this one."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from tests.as_started.commands import ROOT

#: The last commit with one inbox stream, one Redis and a ledger in one table.
ONE_SERVER: Final = "b65fe8f"


def check_out(commit: str, directory: Path) -> Path:
    """Write the files of a commit to a directory, or skip the test in a clone without history."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"this clone has no commit {commit}: run git fetch --unshallow")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
    return directory
