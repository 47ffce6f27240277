"""The manifest: what an artefact is, what it was made from, and how.

One ``manifest.json`` lies beside the files of every artefact. Readers verify files against it, and staleness is
decided from manifests alone.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from model.errors import StoreError
from model.store.hashing import verifies

NAME = "manifest.json"
SCHEMA_VERSION = 2
"""1 had the columns of each table with every one of its chunks: two thirds of the text."""
_READABLE = (1, 2)
MAIN_TABLE = {
    "daily_quotes": "quotes",
    "raw_dataset": "panel",
    "quality_features": "features",
    "walk_forward_folds": "dates",
    "normalization_stats": "daily",
    "baseline": "predictions",
    "correlation_graph": "edges",
    "validation_predictions": "predictions",
}
"""The table of an asset whose rows are the asset's rows, and which the catalogue calls by the asset's own name."""


@dataclass(frozen=True)
class FileEntry:
    """One file of an artefact."""

    content_hash: str
    """Hash of the values (tables, arrays, JSON) or of the bytes (anything else)."""
    checksum: str
    """Of the bytes on disk, which readers verify (``hashing.checksum``)."""
    bytes: int
    rows: int | None = None
    columns: dict[str, str] | None = None
    """Column name to dtype, in order; tables only."""
    input_hash: str | None = None
    """What a chunk was computed from; equal means that it need not be computed again."""
    hashed: bool = True
    """False for what a person looks at (figures, pages): it does not enter the artefact's hash."""
    first_date: str | None = None
    """Earliest Date of a table, as ISO text."""
    last_date: str | None = None


@dataclass(frozen=True)
class Identity:
    """What decides whether an artefact is stale, fixed before the work starts.

    ``inputs`` maps a label such as ``quality_features`` or ``daily_quotes/2016-01-04`` to the content hash read.
    """

    inputs: dict[str, str]
    code_version: str
    settings_hash: str
    seed: int = 0


@dataclass(frozen=True)
class Manifest:
    """The record of one artefact."""

    asset: str
    partition: str | None
    content_hash: str
    files: dict[str, FileEntry]
    inputs: dict[str, str]
    code_version: str
    settings_hash: str
    seed: int
    rows: int
    first_date: date | None
    last_date: date | None
    seconds: float
    peak_memory_bytes: int
    created_at: str
    libraries: dict[str, str]
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of ``manifest.json``, one file of the artefact a line."""
        document = {"schema_version": SCHEMA_VERSION, **vars(self)}  # asdict would copy every value of every file
        document["first_date"] = self.first_date.isoformat() if self.first_date else None
        document["last_date"] = self.last_date.isoformat() if self.last_date else None
        columns, numbers = _distinct(self.files.values())
        entries = {
            name: {**vars(entry), "columns": numbers.get(id(entry.columns))} for name, entry in self.files.items()
        }
        # json's indentation is made in Python, a second for the chunks of a long history; lines of our own are not.
        files = ",\n  ".join(f"{_plain(name)}: {_plain(entry)}" for name, entry in entries.items())
        lines = [f"{_plain(key)}: {_plain(value)}" for key, value in document.items() if key != "files"]
        lines += [f'"columns": {_plain(columns)}']
        return "{\n " + ",\n ".join([*lines, f'"files": {{\n  {files}\n }}']) + "\n}\n"


def _distinct(files: Iterable[FileEntry]) -> tuple[list[dict[str, str]], dict[int, int]]:
    """The distinct columns of tables, and the number among them of each mapping, by its identity."""
    numbers: dict[int, int] = {}
    found: dict[tuple[tuple[str, str], ...], int] = {}
    for entry in files:
        if entry.columns is not None and id(entry.columns) not in numbers:  # chunks that were read share one mapping
            numbers[id(entry.columns)] = found.setdefault(tuple(entry.columns.items()), len(found))
    return [dict(columns) for columns in found], numbers


def _plain(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def read(directory: Path) -> Manifest | None:
    """The manifest in a folder, or None where there is no artefact.

    Raises:
        StoreError: the file is there but is not a manifest.
    """
    path = directory / NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(content)
        if document.pop("schema_version") not in _READABLE:
            raise StoreError(
                f"{path} was written in another format of the store. Remove the folder {directory} and run "
                "`gogooku run` to compute it again."
            )
        columns = document.pop("columns", [])
        document["files"] = {name: _entry(values, columns) for name, values in document["files"].items()}
        for key in ("first_date", "last_date"):
            document[key] = date.fromisoformat(document[key]) if document[key] else None
        return Manifest(**document)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is not a readable manifest ({error}). Remove the folder {directory} and run `gogooku run` "
            "to compute it again."
        ) from error


def _entry(values: dict[str, Any], columns: list[dict[str, str]]) -> FileEntry:
    if isinstance(values.get("columns"), int):
        values["columns"] = columns[values["columns"]]
    if "sha256" in values:  # as the checksum was called when it was one
        values["checksum"] = values.pop("sha256")
    return FileEntry(**values)


def verify(path: Path, entry: FileEntry, folder: Path, name: str) -> None:
    """Compare a file's bytes with its entry.

    Args:
        path: where the bytes lie.
        entry: what the manifest says of them.
        folder: the artefact's folder.
        name: what the file is called in it.

    Raises:
        StoreError: they are not what was written.
    """
    if path.stat().st_size != entry.bytes or not verifies(path, entry.checksum):
        raise StoreError(
            f"{folder / name} is not the file that was written (its bytes differ from the manifest). Remove the folder "
            f"{folder} and run `gogooku run` to compute it again."
        )
