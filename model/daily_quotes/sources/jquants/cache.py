"""The source's memory: what J-Quants said, below ``<home>/sources/jquants``.

::

    quotes/2024/2024-05-10.parquet   all versions of a unit's rows, and the day on which each became visible
    ledger/quotes/2024-05.json       for each unit: when it was asked for last, how many rows, hashes by visible day
    coverage.json                    what the plan has and lacks, which days are awaited

Every file is replaced in one step, rows before the ledger: after a crash a unit is at worst asked for once more, and
the same answer then changes nothing. The folder is the only memory of what was known when; keep it.
"""

import fcntl
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from model.daily_quotes.sources.jquants.tables import Table
from model.daily_quotes.sources.jquants.versions import UNTIL, current
from model.errors import SourceError
from model.store import atomic
from model.store.hashing import table_hash

FORMAT = 1
VISIBLE = "_Visible"


@dataclass(frozen=True)
class Entry:
    """What the ledger says of a unit."""

    asked: datetime
    rows: int
    versions: int
    parts: Mapping[str, str]
    """Hash of the rows by the calendar day on which they became visible."""


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
    """By table and unit, how many of its newest rows the canonical table has no place for."""
    synced: str = ""
    """When a sync was last finished."""
    plan: str = ""
    """The plan that the rest was found out under."""

    def status(self, table: str) -> Status:
        """The record of one table."""
        return self.tables.setdefault(table, Status())

    def note_left_out(self, table: str, unit: str, rows: int) -> None:
        """Keep how many rows of a unit are left out."""
        self.left_out.setdefault(table, {}).pop(unit, None)
        if rows:
            self.left_out[table][unit] = rows


class Cache:
    """Files of one storage root."""

    def __init__(self, home: Path) -> None:
        self.root = home / "sources" / "jquants"
        self._books: dict[Path, dict[str, Any]] = {}

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
        """All versions of a unit's rows, or None where it was never kept."""
        path = self.path(table.name, unit)
        return pl.read_parquet(path) if path.is_file() else None

    def read(self, table: Table, units: list[str]) -> pl.DataFrame | None:
        """All versions of several units' rows; None where there are no units."""
        paths = [self.path(table.name, unit) for unit in units]
        return pl.read_parquet(paths) if paths else None

    def keep(self, table: Table, unit: str, versions: pl.DataFrame, asked: datetime) -> None:
        """Replace a unit's rows (which hold ``_Visible``), then its line in the ledger."""
        buffer = io.BytesIO()
        versions.write_parquet(buffer, compression="zstd")
        atomic.write_bytes(self.path(table.name, unit), buffer.getvalue())
        self.note(table, unit, versions, asked)

    def note(self, table: Table, unit: str, versions: pl.DataFrame, asked: datetime) -> None:
        """Write a unit's line in the ledger."""
        # Where every version stays a row of its own, that a later one exists is no news for the day of the older one.
        telling = versions if table.replaces else versions.drop(UNTIL)
        parts = {
            str(day): table_hash(rows)
            for (day,), rows in telling.partition_by(VISIBLE, as_dict=True, maintain_order=True).items()
        }
        newest = current(versions).height
        self._write(table.name, unit, Entry(asked, newest, versions.height, parts))

    def entry(self, table: str, unit: str) -> Entry | None:
        """A unit's line in the ledger, or None."""
        line = self._book(self._ledger(table, unit)).get(unit)
        return None if line is None else _entry(line)

    def entries(self, table: str) -> dict[str, Entry]:
        """Every unit of a table that the ledger knows, in order."""
        books = [self._book(path) for path in sorted((self.root / "ledger" / table).glob("*.json"))]
        return {unit: _entry(book[unit]) for book in books for unit in sorted(book)}

    def coverage(self) -> Coverage:
        """What was found out about the plan so far."""
        document = self._json(self.root / "coverage.json")
        tables = {name: Status(**status) for name, status in document.pop("tables", {}).items()}
        document.pop("format", None)
        return Coverage(tables=tables, **document)

    def write_coverage(self, coverage: Coverage) -> None:
        """Keep the record of what the plan has and lacks."""
        self._write_json(self.root / "coverage.json", {"format": FORMAT, **asdict(coverage)})

    def path(self, table: str, unit: str) -> Path:
        """Where a unit's rows lie."""
        return self.root / table / unit[:4] / f"{unit}.parquet"

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
        self._write_json(path, {"format": FORMAT, "units": book})

    def _book(self, path: Path) -> dict[str, Any]:
        if path not in self._books:
            self._books[path] = self._json(path).get("units", {})
        return self._books[path]

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise SourceError(
                f"{path} is not readable JSON: {error}. Remove this file; its days are then asked for again."
            ) from error
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


def _entry(line: Mapping[str, Any]) -> Entry:
    return Entry(datetime.fromisoformat(line["asked"]), line["rows"], line["versions"], line["parts"])
