"""J-Quants as a source: the index brings the memory up to date, reading takes from the memory alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from model.daily_quotes import calendar
from model.daily_quotes.beside import TABLES as BESIDE
from model.daily_quotes.beside import empty_beside
from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.access import NO_ACCESS, Access, Secret
from model.daily_quotes.sources.base import DayBatch, SourceIndex, fingerprint_of, validate_batch
from model.daily_quotes.sources.jquants import exchange_days
from model.daily_quotes.sources.jquants.cache import VISIBLE, Cache, Coverage, Entry
from model.daily_quotes.sources.jquants.canonical import bars, partition_days
from model.daily_quotes.sources.jquants.client import KEY_NAME, Patience, PatientClient
from model.daily_quotes.sources.jquants.published import PARTITION, Context
from model.daily_quotes.sources.jquants.rate import Clock, SystemClock, TokenBucket
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.shares import days_between, in_shares_of_their_day
from model.daily_quotes.sources.jquants.slower import MAPPINGS
from model.daily_quotes.sources.jquants.sync import Sync
from model.daily_quotes.sources.jquants.tables import QUOTES, STATEMENTS, TABLES
from model.errors import SourceError
from model.store.hashing import json_hash


@dataclass
class JQuantsDays:
    """The days that J-Quants has served, as far as they are kept below the storage root.

    ``index`` asks J-Quants for what is missing or may have changed (unless ``source.offline``); ``read`` needs no
    key and no network. ``today`` is the exchange's present date.
    """

    settings: JQuantsSource
    calendar: CalendarSettings
    today: date
    access: Access = NO_ACCESS
    config_dir: Path | None = None
    clock: Clock = field(default_factory=SystemClock)

    def index(self) -> SourceIndex:
        """The content hash of every day with bars.

        Raises:
            SourceError: no key, a key that was rejected, a plan without the bars, a gap, or a server that does not
                answer; what was fetched until then is kept.
        """
        cache = self._cache()
        if not self.settings.offline:
            self._sync(cache)
        contents = self._contents(cache)
        has = sorted(self._present(cache))
        hashes = {day: json_hash([self.calendar.hashed(), has, sorted(parts)]) for day, parts in contents.items()}
        return SourceIndex(fingerprint_of("jquants", sorted(map(str, hashes.items()))), hashes)

    def read(self, days: Sequence[date]) -> DayBatch:
        """The rows of these days, from the memory; days that it does not have come back without rows."""
        cache = self._cache()
        wanted = tuple(sorted(set(days)))
        there = self._days(cache)
        kept = set(there)
        units = [day.isoformat() for day in wanted if day in kept]
        found = bars(cache.read(QUOTES, units), self.calendar, self.settings.leave_out_markets)
        beside = {"revisions": found.revisions} | self._beside(cache, there, wanted)
        return validate_batch(DayBatch(wanted, found.quotes, found.received, ("Code",), beside))

    def coverage(self) -> Coverage:
        """What the plan has and lacks, as far as it was found out."""
        return self._cache().coverage()

    def _cache(self) -> Cache:
        if self.access.home is None:
            raise SourceError(
                "The source jquants keeps what it fetches below the storage root, and was opened without one. Open "
                "it with Access(home=...)."
            )
        return Cache(self.access.home)

    def _sync(self, cache: Cache) -> None:
        client = PatientClient(
            self.access.secrets.get(KEY_NAME, Secret("")),
            TokenBucket(self.settings.rate, self.clock),
            self.clock,
            patience=Patience(self.settings.attempts, self.settings.timeout_seconds),
            base_url=self.settings.base_url,
        )
        with cache.locked():
            coverage = cache.coverage()
            if coverage.plan != self.settings.plan:  # what another plan lacked says nothing of this one
                coverage = Coverage(
                    awaited=coverage.awaited,
                    calendar=coverage.calendar,
                    left_out=coverage.left_out,
                    cut=coverage.cut,
                    plan=self.settings.plan,
                )
            last = min(self.today, self.settings.end or self.today)
            days = self._trading_days(cache, client, coverage, last)
            sync = Sync(self.settings, self.calendar, cache, client, self.access.progress, self.clock)
            sync.windows[exchange_days.TABLE] = exchange_days.window(coverage)
            sync.run(days, coverage)

    def _trading_days(self, cache: Cache, client: PatientClient, coverage: Coverage, last: date) -> tuple[date, ...]:
        first = self.settings.start
        if last < first:
            return ()
        exchange_days.refresh(cache, client, self.clock, coverage, first, last)
        if self.calendar.exchange == "from_data":
            listed = exchange_days.trading_days(coverage, first, last)
        else:
            listed = calendar.trading_days(self.calendar, first, last, config_dir=self.config_dir)
            exchange_days.require_agreement(coverage, listed, first, last)
        return tuple(day for day in listed if day not in self.settings.empty_days)

    def _days(self, cache: Cache) -> list[date]:
        """The days with bars between start and end."""
        last = min(self.today, self.settings.end or self.today)
        kept = {date.fromisoformat(unit) for unit, entry in cache.entries(QUOTES.name).items() if entry.rows}
        return sorted(day for day in kept if self.settings.start <= day <= last and day not in self.settings.empty_days)

    def _present(self, cache: Cache) -> list[str]:
        """The tables that were ever served. What a lesser plan lacks later on stays: it was known."""
        return [name for name in self.settings.tables if cache.entries(name)]

    def _contents(self, cache: Cache) -> dict[date, list[list[str]]]:
        """What each day's rows follow from: table, unit, day of visibility and the hash of those rows."""
        days = self._days(cache)
        known = cache.entries(QUOTES.name)
        contents = {
            day: [[QUOTES.name, *part] for part in sorted(known[day.isoformat()].parts.items())] for day in days
        }
        for name in self._present(cache):
            entries = cache.entries(name)
            for unit, seen, day in self._placed(name, entries, days):
                contents[day].append([name, unit, seen, entries[unit].parts[seen]])
                if name == STATEMENTS.name and seen != unit:  # a change, restated by the splits since the disclosure
                    spanned = map(date.isoformat, days_between(date.fromisoformat(unit), day, days))
                    contents[day] += [[QUOTES.name, each, *sorted(known[each].parts.values())] for each in spanned]
        return contents

    @staticmethod
    def _placed(name: str, entries: dict[str, Entry], days: Sequence[date]) -> Iterable[tuple[str, str, date]]:
        """Unit, day of visibility, and the trading day under which its rows lie."""
        pairs = [(unit, seen) for unit, entry in entries.items() for seen in entry.parts]
        visible = pl.Series(VISIBLE, [date.fromisoformat(seen) for _, seen in pairs], dtype=pl.Date)
        for (unit, seen), day in zip(pairs, partition_days(visible, days, TABLES[name].replaces), strict=True):
            if day is not None:
                yield unit, seen, day

    def _beside(self, cache: Cache, days: Sequence[date], wanted: Sequence[date]) -> dict[str, pl.DataFrame]:
        chosen = set(wanted)
        present = self._present(cache)
        context = Context(self.calendar, "topix" in present)
        parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
        for name in present:
            canonical, mapping = MAPPINGS[name]
            parts[canonical].append(empty_beside(canonical))
            placed = self._placed(name, cache.entries(name), days)
            units = sorted({unit for unit, _, day in placed if day in chosen})
            rows = cache.read(TABLES[name], units)
            if rows is None:
                continue
            rows = rows.with_columns(partition_days(rows[VISIBLE], days, TABLES[name].replaces).alias(PARTITION))
            rows = rows.filter(pl.col(PARTITION).is_in(list(chosen)))
            if name == STATEMENTS.name:
                rows = in_shares_of_their_day(rows, cache, days)
            parts[canonical].append(mapping(rows, context))
        return {name: pl.concat(frames).sort(BESIDE[name].key) for name, frames in parts.items()}
