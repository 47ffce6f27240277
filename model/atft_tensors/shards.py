"""Month shards: plain ``.npy`` files named by the hash of their bytes, shared by all folds.

A month holds the days of the fold's window in that month (so a month inside the window is the same file for every
fold) and every code that has a row there. Files are written whole or not at all, and never changed afterwards: a
name that exists is the content. Nothing is pickled.
"""

import hashlib
import io
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError

_BLOCK = 1 << 22


@dataclass(frozen=True)
class MonthArrays:
    """One month, dense over its D days and C codes; F raw features, H horizons."""

    features: NDArray[np.float32]
    """[D, C, F] raw values; NaN where missing."""
    labels: NDArray[np.float32]
    """[D, C, H] forward returns; NaN where missing."""
    own_return: NDArray[np.float32]
    """[D, C] one-day simple return known that day; NaN where missing."""
    present: NDArray[np.bool_]
    """[D, C] the code has a row that day."""
    member: NDArray[np.bool_]
    """[D, C] it is in the universe that day."""
    codes: NDArray[np.str_]
    """[C] sorted."""


@dataclass(frozen=True)
class MonthShards:
    """Where a month's arrays lie: file names, and the month's place among the days of the window."""

    month: str
    first_day: int
    days: int
    features: str
    labels: str
    own_return: str
    present: str
    member: str
    codes: str

    def files(self) -> dict[str, str]:
        """Array name to file name."""
        return {name: value for name, value in asdict(self).items() if name not in {"month", "first_day", "days"}}


def write_month(directory: Path, month: str, first_day: int, arrays: MonthArrays) -> MonthShards:
    """Write the arrays of a month that are not there yet."""
    names = {name: _write(directory, value) for name, value in vars(arrays).items()}
    return MonthShards(month=month, first_day=first_day, days=len(arrays.features), **names)


def read_month(directory: Path, shards: MonthShards, *, verify: bool = True) -> MonthArrays:
    """Memory-map a month.

    Raises:
        DataError: a file is missing, or its bytes are not those it is named by.
    """
    arrays: dict[str, Any] = {name: _map(directory / file, verify) for name, file in shards.files().items()}
    return MonthArrays(**arrays)


def _write(directory: Path, array: NDArray[Any]) -> str:
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "f":  # one bit pattern for missing, one for zero: equal content, equal name
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array + np.array(0.0, array.dtype))
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    data = buffer.getbuffer()
    name = f"{hashlib.sha256(data).hexdigest()}.npy"
    path = directory / name
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f".{name}.{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return name


def _map(path: Path, verify: bool) -> NDArray[Any]:
    if not path.is_file():
        raise DataError(
            f"The shard {path} is missing though an index of atft_tensors names it. Remove that fold's folder under "
            "artifacts/atft_tensors and run `gogooku run` to write it again."
        )
    if verify and _hash(path) != path.stem:
        raise DataError(
            f"The shard {path} was altered: its bytes do not match its name. Remove the file and that fold's folder "
            "under artifacts/atft_tensors, and run `gogooku run` to write it again."
        )
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
