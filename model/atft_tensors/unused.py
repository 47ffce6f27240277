"""Shards that no index names any more: a live fold leaves those of its newest month behind each night.

They are removed a day after they were last in use. A file that is mapped keeps its content as long as it is mapped, and
whoever has read an index has opened its shards within the day.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.atft_tensors.panel import INDEX
from model.errors import StoreError
from model.store.store import Store

_LOCK = ".lock"
_UNUSED_SECONDS = 86_400.0


@contextmanager
def nothing_removed(directory: Path) -> Iterator[None]:
    """While this lasts no shard goes: one that is written, or was found written, is in no index yet."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _LOCK).open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield


def seen_in_use(directory: Path, store: Store, asset: str, partition: str) -> None:
    """Let the day begin now for the shards of a fold whose index is about to be replaced."""
    if partition not in store.partitions(asset):
        return
    with suppress(StoreError):  # a damaged index, which nobody can read, is replaced as well
        for file in _named(store, asset, partition):
            if (directory / file).exists():
                os.utime(directory / file)


def remove_unused(directory: Path, store: Store, asset: str) -> int:
    """Remove the files that no index names and none did for a day, what killed writers left included.

    Nothing is removed while another process writes shards, nor while an index cannot be read.

    Returns:
        Their number.
    """
    with (directory / _LOCK).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            used = {file for partition in store.partitions(asset) for file in _named(store, asset, partition)}
        except (BlockingIOError, StoreError):
            return 0
        old = time.time() - _UNUSED_SECONDS
        unused = [
            directory / entry.name
            for entry in os.scandir(directory)
            if entry.name != _LOCK and entry.name not in used and entry.stat().st_mtime < old
        ]
        for path in unused:
            path.unlink()
    return len(unused)


def _named(store: Store, asset: str, partition: str) -> set[str]:
    shards = store.read_json(asset, INDEX, partition)["shards"]
    return {value for shard in shards for value in shard.values() if str(value).endswith(".npy")}
