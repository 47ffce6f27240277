"""Writing one artefact: a staging folder, files with their hashes, one publishing step."""

import importlib.metadata
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import StoreError
from model.store import atomic, hashing
from model.store import manifest as manifests
from model.store.manifest import MAIN_TABLE, FileEntry, Identity, Manifest
from model.store.parquet import files as parquet
from model.store.peak_memory import peak_memory_bytes

FULL_SECONDS = "full_seconds"
"""Under ``extra``: the seconds of the last time that nothing of the artefact was taken over."""
_LIBRARIES = ("polars", "numpy", "torch", "torch-geometric", "lightgbm", "pyarrow", "dagster", "mlflow")


class ArtifactWriter:
    """Collects the files of one artefact and publishes them together.

    Use it as a context manager: on a clean exit the artefact replaces the earlier one in one step and ``manifest``
    is its manifest; on an error nothing changes. Files marked ``hashed=False`` (figures, pages) do not enter the
    artefact's content hash, so nothing that depends on the clock may be written without that mark.
    """

    def __init__(
        self, target: Path, asset: str, partition: str | None, identity: Identity, started: float | None = None
    ) -> None:
        self.extra: dict[str, Any] = {}
        self._target = target
        self._asset = asset
        self._partition = partition
        self._identity = identity
        self._staging = target.parent / f".staging-{os.getpid()}-{uuid.uuid4().hex}"
        self._files: dict[str, FileEntry] = {}
        self._linked: set[Path] = set()
        self._unread: set[Path] = set()  # of these, what nobody has compared with its checksum yet
        self._taken_over = False
        # Files go to the disk while the next are computed; a long history would be half a minute of it at the end.
        self._flusher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flush")
        self._flushing: dict[Path, Future[None]] = {}
        self._previous: Manifest | None = None
        self._started = started
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        """The published manifest; only after the block has ended."""
        if self._manifest is None:
            raise StoreError(f"{self._asset}: the artefact is not published yet")
        return self._manifest

    def __enter__(self) -> Self:
        if self._started is None:
            self._started = time.perf_counter()
        self._staging.mkdir(parents=True)
        self._previous = manifests.read(self._target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._publish()
        finally:
            self._flusher.shutdown(cancel_futures=True)
            shutil.rmtree(self._staging, ignore_errors=True)

    def table(
        self,
        name: str,
        frame: pl.DataFrame,
        key: Sequence[str],
        *,
        input_hash: str | None = None,
        content_hash: str | None = None,
        hashed: bool = True,
    ) -> FileEntry:
        """Write a Parquet table (LZ4), sorted by ``key`` and unique on it.

        Args:
            content_hash: the hash of its values, where the caller has one; else that of the table as a whole.

        Raises:
            StoreError: the rows are not sorted by the key, or the key repeats.
        """
        self._check_key(name, frame, key)
        path = self._new(name)
        checksum = parquet.write(path, frame)
        columns = {column: str(dtype) for column, dtype in frame.schema.items()}
        return self._record(
            name,
            content_hash or hashing.table_hash(frame),
            checksum=checksum,
            rows=frame.height,
            columns=columns,
            input_hash=input_hash,
            hashed=hashed,
            span=_span(frame, key),
        )

    def chunk(
        self,
        table: str,
        month: str,
        frame: pl.DataFrame,
        key: Sequence[str],
        *,
        input_hash: str,
        content_hash: str | None = None,
    ) -> FileEntry:
        """Write one month of a chunked table, with the hash of what it was computed from."""
        name = f"{table}/{month}.parquet"
        return self.table(name, frame, key, input_hash=input_hash, content_hash=content_hash)

    def mended(self, name: str, file: Path, columns: pl.DataFrame, *, content_hash: str) -> FileEntry:
        """Write a table of the present artefact again with other values in some columns; all others are copied.

        Args:
            file: where it lies, as ``Store.path`` gave it: verified, so that no damage is copied.
            columns: what is replaced, for the same rows.
            content_hash: the hash of the table's values.

        Raises:
            StoreError: there is no such table.
        """
        entry = self.entry(name)
        checksum = parquet.write_mended(self._new(name), file, columns)
        self._taken_over = True
        return self._record(
            name,
            content_hash,
            checksum=checksum,
            rows=entry.rows,
            columns=entry.columns,
            input_hash=entry.input_hash,
            hashed=entry.hashed,
            span=(entry.first_date, entry.last_date),
        )

    def previous(self, name: str) -> FileEntry | None:
        """The entry of a file of the artefact that this one will replace."""
        return None if self._previous is None else self._previous.files.get(name)

    def reuse(self, name: str) -> FileEntry:
        """Take a file of the present artefact over unchanged (a hard link, no copy).

        Raises:
            StoreError: there is no such file.
        """
        entry = self.entry(name)
        path = self._new(name)
        os.link(self._target / name, path)
        self._taken_over = True
        self._unread.add(path)
        return self._keep(name, path, entry)

    def entry(self, name: str) -> FileEntry:
        """The entry of a file that the artefact to be replaced has.

        Raises:
            StoreError: it has none of that name.
        """
        entry = self.previous(name)
        if entry is None:
            raise StoreError(f"{self._target} has no file {name} to take over")
        return entry

    def has(self, name: str) -> bool:
        """Whether a file has been written or taken over."""
        return name in self._files

    def staged(self, name: str) -> Path:
        """Where a file lies that has been written or taken over, before it is published.

        Raises:
            StoreError: it was taken over, and its bytes are not what was written.
        """
        path = self._staging / name
        if path in self._unread:
            manifests.verify(path, self._files[name], self._target, name)
            self._unread.discard(path)
        return path

    def adopt(self, name: str, directory: Path, entry: FileEntry) -> FileEntry | None:
        """Take an equal file of another artefact over (a hard link); None where it has changed meanwhile.

        Args:
            directory: the other artefact's folder, which holds a file of the same name.
            entry: the other artefact's entry of the file.
        """
        path = self._new(name)
        try:
            os.link(directory / name, path)
        except FileNotFoundError:  # its artefact has just been replaced
            return None
        if not hashing.verifies(path, entry.checksum):
            path.unlink()
            return None
        self._taken_over = True
        return self._keep(name, path, entry)

    def source(self, name: str, directory: Path, entry: FileEntry) -> FileEntry:
        """Keep a file that this artefact is computed from beside it (a hard link), outside its content hash.

        Args:
            directory: the other artefact's folder, which holds a file of the same name.
            entry: the other artefact's entry of the file, against which whoever reads it verifies it.
        """
        path = self._new(name)
        os.link(directory / name, path)
        self._unread.add(path)
        return self._keep(name, path, replace(entry, hashed=False))

    def _keep(self, name: str, path: Path, entry: FileEntry) -> FileEntry:
        self._linked.add(path)
        self._files[name] = entry
        return entry

    def json(self, name: str, value: Any, *, hashed: bool = True) -> FileEntry:
        """Write a JSON document (plain values; NaN is refused)."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        self._new(name).write_text(text, encoding="utf-8")
        return self._record(name, hashing.json_hash(value), hashed=hashed)

    def bytes(self, name: str, data: bytes, *, hashed: bool = True) -> FileEntry:
        """Write raw bytes (text of a booster, a figure, a page)."""
        self._new(name).write_bytes(data)
        return self._record(name, None, hashed=hashed)

    def array(self, name: str, array: NDArray[Any], *, input_hash: str | None = None, hashed: bool = True) -> FileEntry:
        """Write one array as ``.npy``, ready to be memory-mapped (never pickled)."""
        np.save(self._new(name), array, allow_pickle=False)
        return self._record(name, hashing.array_hash(array), rows=len(array), input_hash=input_hash, hashed=hashed)

    def safetensors(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> FileEntry:
        """Write named arrays as a safetensors file."""
        from safetensors.numpy import save_file

        plain = {key: np.asarray(arrays[key], order="C") for key in sorted(arrays)}  # 0-d stays 0-d
        save_file(plain, self._new(name))
        return self._record(name, hashing.arrays_hash(plain))

    def _new(self, name: str) -> Path:
        if name in self._files:
            raise StoreError(f"{self._asset}: the file {name} is written twice")
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _record(
        self,
        name: str,
        content_hash: str | None,
        *,
        checksum: str | None = None,
        rows: int | None = None,
        columns: dict[str, str] | None = None,
        input_hash: str | None = None,
        hashed: bool = True,
        span: tuple[str | None, str | None] = (None, None),
    ) -> FileEntry:
        path = self._staging / name
        self._flushing[path] = self._flusher.submit(atomic.flush, path)
        entry = FileEntry(
            content_hash=content_hash or hashing.file_hash(path),
            checksum=checksum or hashing.checksum(path),
            bytes=path.stat().st_size,
            rows=rows,
            columns=columns,
            input_hash=input_hash,
            hashed=hashed,
            first_date=span[0],
            last_date=span[1],
        )
        self._files[name] = entry
        return entry

    def _check_key(self, name: str, frame: pl.DataFrame, key: Sequence[str]) -> None:
        steps = frame.height - 1
        if steps < 1:
            return
        # Series by Series: a query would take longer than all the rest of a small table's publication.
        rising, equal = _steps(frame[key[0]], steps)
        for column in key[1:]:
            above, same = _steps(frame[column], steps)
            rising, equal = rising | (equal & above), equal & same
        broken = steps - int(rising.sum())  # a key that is missing breaks the order
        if broken:
            raise StoreError(
                f"{self._asset}/{name}: {broken} of {frame.height} rows break the order by {', '.join(key)} "
                f"({equal.sum()} repeat the key). Sort the table and remove the repeats before writing it."
            )

    def _rows(self) -> int:
        """Rows of the asset's main table, or of all tables where none of them carries the asset's name."""
        tables: dict[str, int] = {}
        for name, entry in self._files.items():
            if entry.columns:
                table = name.removesuffix(".parquet").split("/")[0]
                tables[table] = tables.get(table, 0) + (entry.rows or 0)
        return tables.get(MAIN_TABLE.get(self._asset, ""), sum(tables.values()))

    def _publish(self) -> None:
        seconds = round(time.perf_counter() - (self._started or 0.0), 3)
        whole = self._previous.extra.get(FULL_SECONDS, self._previous.seconds) if self._previous else seconds
        self.extra[FULL_SECONDS] = whole if self._taken_over else seconds
        hashes = {name: entry.content_hash for name, entry in self._files.items() if entry.hashed}
        self._manifest = Manifest(
            asset=self._asset,
            partition=self._partition,
            content_hash=hashing.merkle_root(hashes),
            files=self._files,
            inputs=self._identity.inputs,
            code_version=self._identity.code_version,
            settings_hash=self._identity.settings_hash,
            seed=self._identity.seed,
            rows=self._rows(),
            first_date=_day(min((e.first_date for e in self._files.values() if e.first_date), default=None)),
            last_date=_day(max((e.last_date for e in self._files.values() if e.last_date), default=None)),
            seconds=seconds,
            peak_memory_bytes=peak_memory_bytes(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            libraries=_library_versions(),
            extra=self.extra,
        )
        (self._staging / manifests.NAME).write_text(self._manifest.to_json(), encoding="utf-8")
        for flushed in self._flushing.values():
            flushed.result()  # an error of the disk is raised here
        atomic.fsync_tree(self._staging, already=self._linked | self._flushing.keys())
        atomic.publish_directory(self._staging, self._target)


def _steps(column: pl.Series, steps: int) -> tuple[pl.Series, pl.Series]:
    """From each row to the next: whether the value rises, and whether it stays."""
    earlier, later = column.slice(0, steps), column.slice(1)
    return later > earlier, later == earlier


def _span(frame: pl.DataFrame, key: Sequence[str]) -> tuple[str | None, str | None]:
    """First and last Date of a table as ISO text, where it has that column and rows."""
    if frame.schema.get("Date") != pl.Date or frame["Date"].null_count() == frame.height:
        return None, None
    days = frame["Date"]
    if key[0] == "Date" and not days.null_count():  # sorted by it, which was checked
        low, high = days[0], days[-1]
    else:
        low, high = frame.select(low=pl.col("Date").min(), high=pl.col("Date").max()).row(0)
    return low.isoformat(), high.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


_versions: dict[str, str] = {}


def _library_versions() -> dict[str, str]:
    if not _versions:
        for name in _LIBRARIES:
            try:
                _versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                _versions[name] = "absent"
    return dict(_versions)
