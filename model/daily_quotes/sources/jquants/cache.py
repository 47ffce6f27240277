"""The source's memory: what J-Quants said, below ``<home>/sources/jquants``.

::

    quotes/2024/2024-05-10.parquet   all versions of a unit's rows, and the day on which each became visible
    ledger/quotes/2024-05.json       for each unit: when it was asked for last, how many rows, hashes by visible day
    coverage.json                    what the plan has and lacks, which days are awaited

Every file is replaced in one step, rows before the ledger: after a crash a unit is at worst asked for once more, and
the same answer then changes nothing. A day that is awaited has a file without rows, and no line in the ledger yet. The
folder is the only memory of what was known when; keep it.

A day's file that is damaged or gone is asked for again. Where what is served now gives the hashes in the ledger,
nothing was lost; where it does not, the file held what nobody serves any more, and that is said, not passed over.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from model.daily_quotes.sources.jquants.tables import Table
from model.daily_quotes.sources.jquants.versions import UNTIL, current
from model.errors import SourceError
from model.store import atomic
from model.store.hashing import table_hash

FORMAT = 1
VISIBLE = "_Visible"
_PARQUET = b"PAR1"
"""With this a Parquet file ends."""
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True)
class Entry:
    """What the ledger says of a unit."""

    asked: datetime
    rows: int
    versions: int
    parts: Mapping[str, str]
    """Hash of the rows by the calendar day on which they became visible."""
    span: tuple[str, str] | None = None
    """First and last day of which a year was asked for: a plan's window or ``source.end`` may cut it."""
    tried: datetime | None = None
    """When it was last asked for in vain since then."""


@dataclass
class Status:
    """What is known of a table's availability."""

    state: str = "not asked"
    """``present``, ``absent`` (not in the plan) or ``not asked``."""
    message: str = ""
    asked: str = ""
    window: list[str | None] = field(default_factory=lambda: [None, None])
    """First and last day that the plan covers, where the server said so."""


@dataclass
class Coverage:
    """What the plan has and lacks, as found out by asking."""

    tables: dict[str, Status] = field(default_factory=dict)
    awaited: dict[str, str] = field(default_factory=dict)
    """Trading days without bars yet, with when they were asked for last."""
    calendar: dict[str, str] = field(default_factory=dict)
    """J-Quants' own calendar: date to holiday division."""
    calendar_span: list[str] = field(default_factory=list)
    """First and last day for which that calendar was asked for."""
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    """By table and unit, how many of its newest rows have no place in the canonical table, or a figure that is none."""
    cut: dict[str, dict[str, int]] = field(default_factory=dict)
    """By table and unit, how many rows the last answer had where it was a cut one and those on record stayed."""
    synced: str = ""
    """When a sync was last finished."""
    plan: str = ""
    """The plan that the rest was found out under."""

    def status(self, table: str) -> Status:
        """The record of one table."""
        return self.tables.setdefault(table, Status())

    def note_left_out(self, table: str, unit: str, rows: int) -> None:
        """Keep how many rows of a unit are left out."""
        _note(self.left_out, table, unit, rows or None)

    def note_cut(self, table: str, unit: str, rows: int | None) -> None:
        """Keep how many rows a cut answer had; None where the last answer was whole."""
        _note(self.cut, table, unit, rows)


def _note(counts: dict[str, dict[str, int]], table: str, unit: str, rows: int | None) -> None:
    """Put a unit's count in, or take it out where it is None, and the table with its last one."""
    units = {name: count for name, count in counts.pop(table, {}).items() if name != unit}
    if rows is not None:
        units[unit] = rows
    if units:
        counts[table] = units


_COVERAGE = TypeAdapter(Coverage)


class Cache:
    """Files of one storage root."""

    def __init__(self, home: Path) -> None:
        self.root = home / "sources" / "jquants"
        self._books: dict[Path, dict[str, Any]] = {}
        self._lost: set[Path] = set()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else fetches meanwhile.

        Raises:
            SourceError: somebody does.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceError(
                    f"Another command is fetching from J-Quants into {self.root} now. Wait for it, or look at what is "
                    "there already with --set source.offline=true."
                ) from None
            yield

    def rows(self, table: Table, unit: str) -> pl.DataFrame | None:
        """All versions of a unit's rows, or None where it was never kept, or its file is damaged or gone."""
        path = self.path(table.name, unit)
        try:
            return pl.read_parquet(path, glob=False)
        except _UNREADABLE:
            self._lost.add(path)
            return None

    def read(self, table: Table, units: list[str]) -> pl.DataFrame | None:
        """All versions of several units' rows; None where there are no units.

        Raises:
            SourceError: a file is damaged or gone.
        """
        paths = [self.path(table.name, unit) for unit in units]
        try:
            return pl.read_parquet(paths, glob=False) if paths else None
        except _UNREADABLE as error:
            lost = [unit for unit in units if self.rows(table, unit) is None]
            first = self.path(table.name, (lost or units)[0])
            raise SourceError(
                f"{len(lost)} of {len(units)} files of {table.name} kept of J-Quants are damaged or gone, the first "
                f"being {first} ({type(error).__name__}). Put it back from a backup, or remove it and run the command "
                "again with network and key: it is then asked for again."
            ) from error

    def whole(self, table: Table, unit: str) -> bool:
        """Whether a unit's file is there and has its end; a short look, as a night takes one at all 13,000."""
        try:
            file = os.open(f"{self.root}/{_place(table.name, unit)}", os.O_RDONLY)
        except OSError:
            return False
        try:
            return os.pread(file, len(_PARQUET), os.fstat(file).st_size - len(_PARQUET)) == _PARQUET
        except OSError:  # a folder, or a file without that many bytes
            return False
        finally:
            os.close(file)

    def keep(
        self, table: Table, unit: str, versions: pl.DataFrame, asked: datetime, span: tuple[str, str] | None = None
    ) -> None:
        """Replace a unit's rows (which hold ``_Visible``), then its line in the ledger.

        Raises:
            SourceError: the unit's file was damaged or gone, and what it held is not what is served now.
        """
        if self.path(table.name, unit) in self._lost:
            self._require_no_loss(table, unit, versions)
        self.keep_rows(table, unit, versions)
        self.note(table, unit, versions, asked, span)

    def keep_rows(self, table: Table, unit: str, versions: pl.DataFrame) -> None:
        """Replace a unit's rows alone: without a line in the ledger they are not in use, and are asked for again."""
        buffer = io.BytesIO()
        versions.write_parquet(buffer, compression="zstd")
        atomic.write_bytes(self.path(table.name, unit), buffer.getvalue())

    def note(
        self, table: Table, unit: str, versions: pl.DataFrame, asked: datetime, span: tuple[str, str] | None = None
    ) -> None:
        """Write a unit's line in the ledger."""
        newest = current(versions).height
        self._write(table.name, unit, Entry(asked, newest, versions.height, _parts(table, versions), span))

    def note_try(self, table: Table, unit: str, tried: datetime) -> None:
        """Write into a unit's line that it was asked for in vain."""
        entry = self.entry(table.name, unit)
        if entry is not None:
            self._write(table.name, unit, replace(entry, tried=tried))

    def _require_no_loss(self, table: Table, unit: str, versions: pl.DataFrame) -> None:
        entry = self.entry(table.name, unit)
        if entry is not None and entry.parts != _parts(table, versions):
            raise SourceError(
                f"{self.path(table.name, unit)} is damaged or gone. It held {entry.versions} versions of {entry.rows} "
                f"rows, and the {versions.height} rows that J-Quants serves now are not the same: what was known when "
                "would be lost, so nothing was replaced. Put the file back from a backup. If there is none, remove it "
                f"and {self._ledger(table.name, unit)}: the unit then counts as J-Quants serves it now, as if it had "
                "never been different."
            )

    def entry(self, table: str, unit: str) -> Entry | None:
        """A unit's line in the ledger, or None."""
        path = self._ledger(table, unit)
        line = self._book(path).get(unit)
        return None if line is None else _entry(line, path)

    def entries(self, table: str) -> dict[str, Entry]:
        """Every unit of a table that the ledger knows, in order."""
        books = {path: self._book(path) for path in sorted((self.root / "ledger" / table).glob("*.json"))}
        return {unit: _entry(book[unit], path) for path, book in books.items() for unit in sorted(book)}

    def coverage(self) -> Coverage:
        """What was found out about the plan so far; nothing where the record is damaged, for it is found out again."""
        path = self.root / "coverage.json"
        try:
            document = _document(path)
            return _COVERAGE.validate_python(self._of_this_format(path, document)) if document else Coverage()
        except ValueError:
            return Coverage()

    def write_coverage(self, coverage: Coverage) -> None:
        """Keep the record of what the plan has and lacks."""
        self._write_json(self.root / "coverage.json", {"format": FORMAT, **asdict(coverage)})

    def path(self, table: str, unit: str) -> Path:
        """Where a unit's rows lie."""
        return self.root / _place(table, unit)

    def _ledger(self, table: str, unit: str) -> Path:
        return self.root / "ledger" / table / f"{unit[:7]}.json"

    def _write(self, table: str, unit: str, entry: Entry) -> None:
        path = self._ledger(table, unit)
        book = self._book(path)
        book[unit] = {
            "asked": entry.asked.isoformat(timespec="seconds"),
            "rows": entry.rows,
            "versions": entry.versions,
            "parts": dict(entry.parts),
        }
        if entry.tried is not None:
            book[unit]["tried"] = entry.tried.isoformat(timespec="seconds")
        if entry.span is not None:
            book[unit]["span"] = list(entry.span)
        self._write_json(path, {"format": FORMAT, "units": book})

    def _book(self, path: Path) -> dict[str, Any]:
        if path not in self._books:
            try:
                document = _document(path)
            except ValueError as error:
                raise _damaged_ledger(path, error) from error
            units = self._of_this_format(path, document).get("units") if document else {}
            if not isinstance(units, dict):
                raise _damaged_ledger(path, "it has no units")
            self._books[path] = units
        return self._books[path]

    def _of_this_format(self, path: Path, document: dict[str, Any]) -> dict[str, Any]:
        if document.get("format") != FORMAT:
            raise SourceError(
                f"{path} was written by another version of this program (format {document.get('format')}, here "
                f"{FORMAT}). Use that version, or move the folder {self.root} aside to fetch everything again."
            )
        return document

    @staticmethod
    def _write_json(path: Path, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        atomic.write_bytes(path, text.encode())


def _place(table: str, unit: str) -> str:
    return f"{table}/{unit[:4]}/{unit}.parquet"


def _parts(table: Table, versions: pl.DataFrame) -> dict[str, str]:
    # Where every version stays a row of its own, that a later one exists is no news for the day of the older one.
    telling = versions if table.replaces else versions.drop(UNTIL)
    days = telling.partition_by(VISIBLE, as_dict=True, maintain_order=True)
    return {str(day): table_hash(rows) for (day,), rows in days.items()}


def _document(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no file.

    Raises:
        ValueError: it is none.
    """
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not document:
        raise ValueError(f"a {type(document).__name__} of {path.stat().st_size} bytes, where an object is expected")
    return document


def _entry(line: Any, path: Path) -> Entry:
    try:
        tried = datetime.fromisoformat(line["tried"]) if "tried" in line else None
        asked = datetime.fromisoformat(line["asked"])
        span = (str(line["span"][0]), str(line["span"][1])) if "span" in line else None
        return Entry(asked, int(line["rows"]), int(line["versions"]), dict(line["parts"]), span, tried)
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged_ledger(path, error) from error


def _damaged_ledger(path: Path, error: object) -> SourceError:
    return SourceError(
        f"{path} is not a readable ledger: {error}. Remove this file; its days are then asked for again, and what is "
        "kept of them stays."
    )
