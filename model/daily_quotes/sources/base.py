"""What a source is: an index of content hashes by day, and rows for many days at once.

The index answers cheaply "which days are there, and did any of them change?"; reading answers "what do they say?".
Both speak of whole trading days, because a day is what an artefact of ``daily_quotes`` holds.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import polars as pl

from model.daily_quotes.sources.day_hashes import slice_hashes
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
class DayBatch:
    """The rows of several days.

    ``quotes`` is canonical. ``received`` holds the same rows with the source's own columns, or is None where the
    source has no other form; its rows are grouped by day in the same order as those of ``quotes`` and sorted by
    ``received_key`` within a day.
    """

    days: tuple[date, ...]
    quotes: pl.DataFrame
    received: pl.DataFrame | None = None
    received_key: tuple[str, ...] = ()

    def split(self) -> Iterator[tuple[date, pl.DataFrame, pl.DataFrame | None]]:
        """Each day with its slices (no copies); a day without rows yields empty frames."""
        for day, offset, length in day_slices(self.quotes["Date"], self.days):
            received = None if self.received is None else self.received.slice(offset, length)
            yield day, self.quotes.slice(offset, length), received


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
    """The index over all days of a batch."""
    slices = [(offset, length) for _, offset, length in day_slices(batch.quotes["Date"], batch.days)]
    hashes = slice_hashes(batch.quotes, slices)
    if batch.received is not None:
        received = slice_hashes(batch.received, slices)
        hashes = [json_hash(pair) for pair in zip(hashes, received, strict=True)]
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
        whole = self._all()
        wanted = tuple(sorted(set(days)))
        if wanted == whole.days:
            return whole
        keep = whole.quotes["Date"].is_in(list(wanted))
        received = None if whole.received is None else whole.received.filter(keep)
        return DayBatch(wanted, whole.quotes.filter(keep), received, whole.received_key)

    def _all(self) -> DayBatch:
        if self._batch is None:
            self._batch = self.load()
        return self._batch


def fingerprint_of(*parts: object) -> str:
    """Hash of plain values that the rows follow from."""
    return json_hash(json.loads(json.dumps(parts, default=str)))
