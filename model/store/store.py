"""Reading and writing artefacts under one folder.

``<home>/artifacts/<asset>/<partition or "all">/`` holds the files of one artefact and its ``manifest.json``. An
artefact is written in a staging folder and published in one step, so readers see the old one or the new one; a
reader verifies each file against the manifest before it is used.
"""

import json
import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from model.errors import StoreError
from model.store import manifest as manifests
from model.store.manifest import FileEntry, Identity, Manifest
from model.store.writer import ArtifactWriter

WHOLE = "all"
STAGING_PREFIX = ".staging-"


class Store:
    """The artefacts of one installation.

    Args:
        home: the storage root (``$GOGOOKU_HOME``).
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "artifacts"
        self._read: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}

    def directory(self, asset: str, partition: str | None = None) -> Path:
        """Where an artefact lies, whether it is there or not."""
        return self.root / asset / (partition or WHOLE)

    def manifest(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The manifest of an artefact, or None where it is missing.

        A manifest of many chunks is long, and every read of a chunk asks for it: it is parsed again only when another
        file lies in its place (publishing always puts a new one there).
        """
        directory = self.directory(asset, partition)
        try:
            found = (directory / manifests.NAME).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._read.get(directory)
        if known is not None and known[0] == stamp:
            return known[1]
        manifest = manifests.read(directory)
        if manifest is not None:
            self._read[directory] = (stamp, manifest)
        return manifest

    def require(self, asset: str, partition: str | None = None) -> Manifest:
        """The manifest of an artefact that must be there.

        Raises:
            StoreError: it is not.
        """
        found = self.manifest(asset, partition)
        if found is None:
            name = asset if partition is None else f"{asset} [{partition}]"
            raise StoreError(f"{name} is not materialised under {self.root}. Run `gogooku run --until {asset}` first.")
        return found

    def partitions(self, asset: str) -> list[str]:
        """The partitions that are materialised, in order."""
        folder = self.root / asset
        if not folder.is_dir():
            return []
        return sorted(
            entry.name
            for entry in folder.iterdir()
            if not entry.name.startswith(".") and (entry / manifests.NAME).is_file()
        )

    def path(self, asset: str, file: str, partition: str | None = None) -> Path:
        """The path of one file, verified against the manifest (for memory maps, model files, pages).

        Raises:
            StoreError: the artefact or the file is missing, or its bytes are not what was written.
        """
        entry = self._entry(asset, file, partition)
        directory = self.directory(asset, partition)
        path = directory / file
        if not path.is_file():
            raise StoreError(
                f"{path} is in the manifest and not on the disk. Remove the folder {directory} and run `gogooku run`."
            )
        manifests.verify(path, entry, directory, file)
        return path

    def read_table(
        self, asset: str, file: str, partition: str | None = None, columns: list[str] | None = None
    ) -> pl.DataFrame:
        """One Parquet table, verified."""
        return pl.read_parquet(self.path(asset, file, partition), columns=columns, glob=False)

    def read_json(self, asset: str, file: str, partition: str | None = None) -> Any:
        """One JSON document, verified."""
        return json.loads(self.path(asset, file, partition).read_text(encoding="utf-8"))

    def chunks(self, asset: str, table: str, partition: str | None = None) -> dict[str, FileEntry]:
        """The month chunks of a table: month such as ``2016-01`` to its file entry, in order."""
        prefix = f"{table}/"
        files = self.require(asset, partition).files
        return {
            name.removeprefix(prefix).removesuffix(".parquet"): files[name]
            for name in sorted(files)
            if name.startswith(prefix)
        }

    def read_chunks(
        self,
        asset: str,
        table: str,
        *,
        start: date | None = None,
        end: date | None = None,
        columns: list[str] | None = None,
        partition: str | None = None,
    ) -> pl.DataFrame:
        """The rows of a chunked table dated ``start`` to ``end`` (both included), in stored order.

        Raises:
            StoreError: no chunk of the table overlaps the dates.
        """
        months = [
            month
            for month in self.chunks(asset, table, partition)
            if (start is None or month >= f"{start:%Y-%m}") and (end is None or month <= f"{end:%Y-%m}")
        ]
        if not months:
            raise StoreError(f"{asset}/{table} has no month between {start} and {end} under {self.root}.")
        frames = [
            self._read_month(asset, f"{table}/{month}.parquet", partition, columns, start, end) for month in months
        ]
        return pl.concat(frames, rechunk=True)

    def writer(
        self, asset: str, partition: str | None, identity: Identity, *, started: float | None = None
    ) -> ArtifactWriter:
        """A context manager in which one artefact is written, published when the block ends without an error.

        Args:
            started: the ``time.perf_counter()`` at which the work began; the start of the block by default.
        """
        return ArtifactWriter(self.directory(asset, partition), asset, partition, identity, started)

    def uneven(self, asset: str, file: str, rows: int, beside: str, expected: int) -> StoreError:
        """What is raised where a file does not have the rows of the one that it lies beside."""
        return StoreError(
            f"{asset}/{file} has {rows} rows where {beside} has {expected}. Remove the folder {self.directory(asset)} "
            "and run `gogooku run`."
        )

    def remove_staging(self) -> int:
        """Remove what writers left behind whose process is gone. Returns how many folders that were."""
        left = [folder for folder in self.root.glob(f"*/{STAGING_PREFIX}*") if not _is_running(folder.name)]
        for folder in left:
            shutil.rmtree(folder)
        return len(left)

    def _read_month(
        self,
        asset: str,
        file: str,
        partition: str | None,
        columns: list[str] | None,
        start: date | None,
        end: date | None,
    ) -> pl.DataFrame:
        wanted = None if columns is None else list(dict.fromkeys(["Date", *columns]))
        frame = self.read_table(asset, file, partition, wanted)
        if start is not None:
            frame = frame.filter(pl.col("Date") >= start)
        if end is not None:
            frame = frame.filter(pl.col("Date") <= end)
        return frame if columns is None else frame.select(columns)

    def _entry(self, asset: str, file: str, partition: str | None) -> FileEntry:
        files = self.require(asset, partition).files
        if file not in files:
            raise StoreError(
                f"{self.directory(asset, partition)} has no file {file}; it has {', '.join(sorted(files)) or 'none'}."
            )
        return files[file]


def _is_running(staging: str) -> bool:
    """Whether the process that made a staging folder (its number follows the prefix) is there."""
    process = staging.removeprefix(STAGING_PREFIX).split("-")[0]
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
