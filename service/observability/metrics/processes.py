"""Several processes of one web server count into one directory, and any of them answers for all.

Granian starts its worker processes by `multiprocessing`, and whichever takes a scrape must know
what all of them counted. The client library keeps each process's numbers in files of its own
(PROMETHEUS_MULTIPROC_DIR); this module finds the directory, and keeps it from growing.
https://prometheus.github.io/client_python/multiprocess/
"""

import errno
import fcntl
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
# What the library calls its files, by the kinds of instrument that we have: no gauge is among
# them, so that nothing of a dead process is shown as if it were alive.
KINDS: Final = ("counter", "histogram")
# Far more than our instruments can fill (a test holds that): the file never grows under load.
FILE_SIZE: Final = 1 << 20

_LOCK: Final = ".lock"
# The lock on our directory; the kernel drops it when we die, however we die.
_held: list[int] = []

_log = logging.getLogger(__name__)


def share() -> None:
    """Find the directory of our siblings, before any instrument is made.

    Nothing to do in a process that has no siblings: a Celery worker, a command, a test.
    """
    parent = multiprocessing.parent_process()
    if os.environ.get(VARIABLE) or parent is None:
        return
    try:
        directory = enter(base(), str(parent.pid))
        _reserve(directory)
    except OSError as error:
        # To count is not worth a callback: this process goes on, and answers for itself alone.
        _log.error("metrics are kept per process, no directory to share (%s)", error.strerror)
        return
    os.environ[VARIABLE] = str(directory)


def base() -> Path:
    """Return where the directories of this user's web servers are. Raises OSError."""
    place = Path(tempfile.gettempdir()) / f"waybill-metrics-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()  # of a link, should somebody have planted one: anybody's
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, f"{place} is not ours alone")
    return place


def enter(place: Path, name: str) -> Path:
    """Return the directory of this name: empty, unless a living sibling is in it already.

    What dead web servers left in `place` is removed. A directory is alive while a process holds
    its lock, so that neither a reused process id nor a kill -9 confuses anybody.
    """
    directory = place / name
    with locked(place):
        for left in [path for path in place.iterdir() if path.is_dir()]:
            _remove_if_dead(left)
        directory.mkdir(mode=0o700, exist_ok=True)
        held = _open(directory)
        fcntl.flock(held, fcntl.LOCK_SH)
        _held.append(held)
    return directory


@contextmanager
def locked(directory: Path, name: str = ".turn") -> Iterator[None]:
    """Take turns with the other processes and threads that work on a directory."""
    turn = _open(directory, name)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)


def _open(directory: Path, name: str = _LOCK) -> int:
    return os.open(directory / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _remove_if_dead(directory: Path) -> None:
    lock = _open(directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
    shutil.rmtree(directory, ignore_errors=True)


def _reserve(directory: Path) -> None:
    """Make our files at their full size. Raises OSError where there is no room for them.

    The library maps sparse files: on a disk that is full later, a process would die of SIGBUS.
    """
    for kind in KINDS:
        file = _open(directory, f"{kind}_{os.getpid()}.db")
        try:
            # One with numbers in it is of a dead sibling whose process id we got: we go on.
            if not os.fstat(file).st_size and os.write(file, bytes(FILE_SIZE)) < FILE_SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)
