"""Keep freed memory for the next arrays while features are computed.

A block makes and drops thousands of arrays, and each block of months makes the large ones of the block before again. By
default the C library (glibc) gives large arrays back to the system at once, and the next one is fetched page by page:
filling a fresh gigabyte costs ten times what filling a used one does. No value depends on it; where the C library is
another one, it does nothing.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_DEFAULTS = ((_MMAP_MAX, 65_536), (_MMAP_THRESHOLD, 128 << 10), (_TRIM_THRESHOLD, 128 << 10))
_MOST = 2**31 - 1
"""Free bytes at the end of the heap beyond which they are given back; mallopt takes an int."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Within this block freed memory stays with the process; at its end what is free goes back to the system."""
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _MOST)
    try:
        yield
    finally:
        for parameter, value in _DEFAULTS:
            library.mallopt(parameter, value)
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
