"""What a source is: an index of content hashes by day, and rows for many days at once.

The index answers cheaply "which days are there, and did any of them change?"; reading answers "what do they say?".
Both speak of whole trading days, because a day is what an artefact of ``daily_quotes`` holds.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import polars as pl

from model.daily_quotes.beside import validate_beside
from model.daily_quotes.sources.day_hashes import slice_hashes
from model.errors import SourceError
from model.store.hashing import json_hash


@dataclass(frozen=True)
class SourceIndex:
    """Content hash of each trading day's rows.

    ``fingerprint`` stands for everything that the hashes follow from (the files' bytes and how they are read, or
    the simulated market's settings): while it is the same, the index is the same and need not be computed again.
    """

    fingerprint: str
    days: dict[date, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values, to be kept between runs."""
        return {"fingerprint": self.fingerprint, "days": {day.isoformat(): self.days[day] for day in sorted(self.days)}}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "SourceIndex":
        """The inverse of :meth:`to_json`."""
        days = {date.fromisoformat(day): content for day, content in document["days"].items()}
        return cls(document["fingerprint"], days)


@dataclass(frozen=True)
class Day:
    """One trading day of a batch: slices of its tables, without copies."""

    day: date
    quotes: pl.DataFrame
    received: pl.DataFrame | None
    beside: Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class DayBatch:
    """The rows of several days.

    ``quotes`` is canonical. ``received`` holds the same rows with the source's own columns, or is None where the
    source has no other form; its rows are grouped by day in the same order as those of ``quotes`` and sorted by
    ``received_key`` within a day. ``beside`` holds the other canonical tables that the source has, by name (see
    :mod:`model.daily_quotes.beside`), each with the rows of all days in the order of its key.
    """

    days: tuple[date, ...]
    quotes: pl.DataFrame
    received: pl.DataFrame | None = None
    received_key: tuple[str, ...] = ()
    beside: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def split(self) -> Iterator[Day]:
        """Each day with its slices (no copies); a day without rows yields empty frames."""
        names = sorted(self.beside)
        slices = [day_slices(self.beside[name]["Date"], self.days) for name in names]
        for (day, offset, length), *places in zip(day_slices(self.quotes["Date"], self.days), *slices, strict=True):
            received = None if self.received is None else self.received.slice(offset, length)
            beside = {
                name: self.beside[name].slice(first, rows) for name, (_, first, rows) in zip(names, places, strict=True)
            }
            yield Day(day, self.quotes.slice(offset, length), received, beside)

    def only(self, days: Sequence[date]) -> "DayBatch":
        """The same tables with the rows of these days alone."""
        wanted = tuple(sorted(set(days)))
        if wanted == self.days:
            return self
        chosen = pl.col("Date").is_in(list(wanted))
        received = None if self.received is None else self.received.filter(self.quotes["Date"].is_in(list(wanted)))
        beside = {name: frame.filter(chosen) for name, frame in self.beside.items()}
        return DayBatch(wanted, self.quotes.filter(chosen), received, self.received_key, beside)


def validate_batch(batch: DayBatch) -> DayBatch:
    """Return ``batch`` unchanged if the tables beside its bars are canonical and lie on its days.

    Raises:
        SourceError: a table is not canonical, or has rows on a day that the batch does not have.
    """
    for name, frame in batch.beside.items():
        validate_beside(name, frame)
        strays = frame.filter(~pl.col("Date").is_in(list(batch.days)))
        if strays.height:
            raise SourceError(
                f"The table {name} has {strays.height} of {frame.height} rows on days without bars, the first being "
                f"{strays['Date'][0]}. Rows lie under the first trading day on or after their publication."
            )
    return batch


class Source(Protocol):
    """Where daily bars come from."""

    def index(self) -> SourceIndex:
        """The content hash of every day that the source has."""
        ...

    def read(self, days: Sequence[date]) -> DayBatch:
        """The rows of these days, in one go."""
        ...


def day_slices(dates: pl.Series, days: Sequence[date]) -> Iterator[tuple[date, int, int]]:
    """Day, offset and length of each of ``days`` in a sorted column of dates."""
    wanted = pl.Series("day", sorted(days), dtype=pl.Date)
    low = dates.search_sorted(wanted, side="left")
    high = dates.search_sorted(wanted, side="right")
    for day, first, after in zip(wanted.to_list(), low.to_list(), high.to_list(), strict=True):
        yield day, first, after - first


def batch_index(fingerprint: str, batch: DayBatch) -> SourceIndex:
    """The index over all days of a batch; every table that it holds counts."""
    slices = [(offset, length) for _, offset, length in day_slices(batch.quotes["Date"], batch.days)]
    hashes = slice_hashes(batch.quotes, slices)
    if batch.received is not None:
        received = slice_hashes(batch.received, slices)
        hashes = [json_hash(pair) for pair in zip(hashes, received, strict=True)]
    for name in sorted(batch.beside):
        frame = batch.beside[name]
        places = [(offset, length) for _, offset, length in day_slices(frame["Date"], batch.days)]
        beside = slice_hashes(frame, places)
        hashes = [json_hash([before, name, content]) for before, content in zip(hashes, beside, strict=True)]
    return SourceIndex(fingerprint, dict(zip(batch.days, hashes, strict=True)))


@dataclass
class IndexedSource(ABC):
    """The part that sources share: load once, index once, and take a cached index over while it still holds.

    Subclasses give ``fingerprint`` and ``load``.
    """

    cached: SourceIndex | None = None
    _batch: DayBatch | None = field(default=None, init=False)
    _index: SourceIndex | None = field(default=None, init=False)

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of everything that the rows follow from."""

    @abstractmethod
    def load(self) -> DayBatch:
        """Every day of the source."""

    def index(self) -> SourceIndex:
        """The content hash of every day; without loading anything where the cached index still holds."""
        if self._index is None:
            fingerprint = self.fingerprint()
            if self.cached is not None and self.cached.fingerprint == fingerprint:
                self._index = self.cached
            else:
                self._index = batch_index(fingerprint, self._all())
        return self._index

    def read(self, days: Sequence[date]) -> DayBatch:
        """The rows of these days; days that the source does not have come back without rows."""
        return self._all().only(days)

    def _all(self) -> DayBatch:
        if self._batch is None:
            self._batch = validate_batch(self.load())
        return self._batch


def fingerprint_of(*parts: object) -> str:
    """Hash of plain values that the rows follow from."""
    return json_hash(json.loads(json.dumps(parts, default=str)))
