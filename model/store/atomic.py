"""Writes that are either wholly there or not at all, also after a power cut."""

import ctypes
import os
import shutil
import sys
import uuid
from collections.abc import Collection
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file's content in one step: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def fsync_tree(directory: Path, *, already: Collection[Path] = ()) -> None:
    """Flush every file below a folder, then the folders, to the disk.

    Args:
        already: files that are on the disk (hard links to published ones), and need no flush.
    """
    for path in sorted(directory.rglob("*"), reverse=True):
        if path not in already:
            flush(path)
    flush(directory)


def publish_directory(staged: Path, target: Path) -> None:
    """Put a finished folder in the place of ``target`` in one step; the old one, if any, is removed.

    On Linux the two names are exchanged by the kernel, so a reader sees the old or the new folder and never none.
    Elsewhere the old folder is moved aside first, which leaves a moment without it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        staged.rename(target)
    elif _exchange(staged, target):
        shutil.rmtree(staged)
    else:
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
        target.rename(aside)
        staged.rename(target)
        shutil.rmtree(aside)
    flush(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        renameat2 = libc.renameat2
    except AttributeError:  # a C library older than 2018
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), ctypes.c_uint(_RENAME_EXCHANGE))
    return bool(done == 0)


def flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
