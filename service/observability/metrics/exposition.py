"""All metrics as text, whichever process is asked."""

import os
import secrets
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from pydantic import SecretStr

from service.observability.metrics.processes import KINDS, VARIABLE, locked

# The text format that every Prometheus since 2014 reads.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# The process id of nobody: what the dead have counted.
_DEAD: Final = "0"


def exposed(readings: Collector | None = None) -> bytes:
    """Return this process's metrics, its siblings' among them, and the readings if given."""
    shared = os.environ.get(VARIABLE)
    own = _shared(Path(shared)) if shared else generate_latest(REGISTRY)
    if readings is None:
        return own
    read = CollectorRegistry(auto_describe=False)
    read.register(readings)
    return own + generate_latest(read)


def may_read(token: SecretStr | None, authorization: str) -> bool:
    """Tell whether a request with this header may read: with the token, or where none is set."""
    if token is None:
        return True
    expected = f"Bearer {token.get_secret_value()}"
    return secrets.compare_digest(authorization.encode(), expected.encode())


def _shared(directory: Path) -> bytes:
    with locked(directory):
        fold_the_dead(directory)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(directory))
        return generate_latest(registry)


def fold_the_dead(directory: Path) -> None:
    """Add the numbers of processes that ended to one file, and remove theirs.

    A counter must never fall, so that what they counted stays; and workers that come and go all
    year must not leave a file each. Call it with the directory locked.
    """
    for kind in KINDS:
        files = directory.glob(f"{kind}_*.db")
        dead = [path for path in files if not _is_alive(path.stem.rpartition("_")[2])]
        if dead:
            _fold(directory / f"{kind}_{_DEAD}.db", dead)


def _fold(kept: Path, dead: list[Path]) -> None:
    known = [path for path in (kept, *dead) if path.exists()]
    folded = kept.with_suffix(".folding")
    folded.unlink(missing_ok=True)
    together = MmapedDict(str(folded))
    for metric in MultiProcessCollector.merge(map(str, known), accumulate=False):
        for sample in metric.samples:
            names, values = list(sample.labels), list(sample.labels.values())
            key = mmap_key(metric.name, sample.name, names, values, metric.documentation)
            together.write_value(key, sample.value, 0.0)
    together.close()
    folded.replace(kept)
    for path in dead:
        path.unlink()


def _is_alive(pid: str) -> bool:
    if pid == _DEAD:
        return True  # what was folded stays
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True  # not ours to judge
    return True
