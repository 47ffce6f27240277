"""Bringing the memory up to date: ask, compare, keep, and record what the plan lacks.

Units are asked for one after the other and kept at once, so a sync that is cut off anywhere goes on where it was.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import polars as pl

from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.cache import VISIBLE, Cache, Coverage
from model.daily_quotes.sources.jquants.client import NotInPlanError, OutsideWindowError, PatientClient
from model.daily_quotes.sources.jquants.due import Ask, Moment, due
from model.daily_quotes.sources.jquants.overdue import overdue
from model.daily_quotes.sources.jquants.rate import Clock
from model.daily_quotes.sources.jquants.rows import is_unfinished, join, to_frame
from model.daily_quotes.sources.jquants.settings import JQuantsSource
from model.daily_quotes.sources.jquants.statements import without_place
from model.daily_quotes.sources.jquants.tables import QUOTES, STATEMENTS, Endpoint, Table, first_day, last_day
from model.daily_quotes.sources.jquants.versions import current, first_versions, is_cut, update
from model.daily_quotes.sources.jquants.visible import visible
from model.errors import SourceError
from model.store.stage import Progress

Window = tuple[date | None, date | None]
"""First and last day that the plan covers; None where it is open."""

_LATE_DAYS = 2
"""So many of the newest trading days may still be without bars; an empty day before them is a gap."""


@dataclass
class Sync:
    """One run against the API.

    ``windows`` and ``absent`` are what this run has learnt of the plan, so that nothing is asked for in vain.
    """

    settings: JQuantsSource
    exchange: CalendarSettings
    cache: Cache
    client: PatientClient
    progress: Progress
    clock: Clock
    windows: dict[str, Window] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set, init=False)
    _odd: int = field(default=0, init=False)
    """Rows of the last answer that were left out or have a figure less."""
    _place: tuple[int, int] = field(default=(0, 0), init=False)

    def __post_init__(self) -> None:
        self.client.notify = lambda text: self.progress(*self._place, text)

    def run(self, days: Sequence[date], coverage: Coverage) -> None:
        """Ask for all that is due on these trading days, and keep it; ``coverage`` is brought up to date.

        Raises:
            SourceError: the key was rejected, a required table is not to be had, a trading day stayed empty, or the
                server did not give usable answers.
        """
        started = self.clock.now()
        at = Moment(started, tuple(days), self.exchange)
        coverage.awaited = {
            day: asked
            for day, asked in coverage.awaited.items()
            if date.fromisoformat(day) in days and not self._on_record(QUOTES, day)
        }
        asks = due(self.settings, self.cache, coverage, at, self._left_out)
        if asks:
            self._ask_all(asks, at, coverage)
        coverage.synced = started.isoformat(timespec="seconds") if asks else coverage.synced
        self.cache.write_coverage(coverage)
        self._require_no_gaps(coverage, days)

    def _ask_all(self, asks: Sequence[Ask], at: Moment, coverage: Coverage) -> None:
        total, left = sum(ask.table.requests for ask in asks), sum(self._minutes(ask.table) for ask in asks)
        self._tell(0, total, f"{total:,} requests to J-Quants, {_time(left)}")
        done = 0
        try:
            for ask in asks:
                self._try(ask, at, coverage)
                done += ask.table.requests
                left -= self._minutes(ask.table)
                self._tell(done, total, f"{ask.table.name} {ask.unit}, {_time(left)} left")
        finally:
            self.cache.write_coverage(coverage)

    def _try(self, ask: Ask, at: Moment, coverage: Coverage) -> None:
        """Ask; a unit on record that stays as it was (an empty or a cut answer, outside the window) has had its turn in
        the sweep all the same."""
        began = self.clock.now().replace(microsecond=0)
        try:
            if not self._left_out(ask):
                self._ask(ask, at, coverage)
        finally:
            entry = self.cache.entry(ask.table.name, ask.unit)
            if entry is not None and entry.asked < began:
                self.cache.note_try(ask.table, ask.unit, began)

    def _tell(self, done: int, total: int, note: str) -> None:
        self._place = (done, total)
        self.progress(done, total, note)

    def _minutes(self, table: Table) -> float:
        """How long a unit of a table takes, at the plan's rate or the lower one of its endpoint."""
        rates = (min(self.settings.rate, each.per_minute or self.settings.rate) for each in table.endpoints)
        return sum(1 / rate for rate in rates)

    def _left_out(self, ask: Ask) -> bool:
        """Whether this run knows already that the plan has nothing on the unit."""
        first, last = self.windows.get(ask.table.name, self.windows.get("calendar", (None, None)))
        before = first is not None and last_day(ask.unit) < first
        return ask.table.name in self.absent or before or (last is not None and first_day(ask.unit) > last)

    def _ask(self, ask: Ask, at: Moment, coverage: Coverage) -> None:
        status = coverage.status(ask.table.name)
        try:
            answer = self._answer(ask, at.days[-1])
        except NotInPlanError as error:
            self._note_absent(ask.table, str(error), coverage)
            return
        except OutsideWindowError as error:
            before = self.windows.get(ask.table.name)
            self.windows[ask.table.name] = (error.first, error.last)
            status.window = [day.isoformat() if day else None for day in (error.first, error.last)]
            if ask.table.cadence == "year" and before != (error.first, error.last) and not self._left_out(ask):
                self._ask(ask, at, coverage)
            return
        asked = self.clock.now().isoformat(timespec="seconds")
        status.state, status.message, status.asked = "present", "", asked
        if self._is_cut(ask, answer, at):
            self._keep_known(ask, answer, coverage)
            return
        coverage.note_cut(ask.table.name, ask.unit, None)
        if ask.table.required:
            coverage.awaited.pop(ask.unit, None)
            if not answer.height:
                coverage.awaited[ask.unit] = asked
                self._remember_absence(ask, answer, at.days)
                return
        odd = self._odd + (without_place(answer) if ask.table.name == STATEMENTS.name else 0)
        coverage.note_left_out(ask.table.name, ask.unit, odd)
        self._keep(ask, answer, at.days)

    def _is_cut(self, ask: Ask, answer: pl.DataFrame, at: Moment) -> bool:
        """Whether what is on record is better. A short answer for today is left to :func:`update`, which stops: it
        may well be whole in a minute, and what is built tonight rests on it."""
        if not answer.height:
            return self._on_record(ask.table, ask.unit) > 0
        today = at.now.astimezone(ZoneInfo(self.exchange.timezone)).date()
        kept = self.cache.rows(ask.table, ask.unit)
        if kept is None or ask.unit == today.isoformat():
            return False
        return is_cut(ask.table, current(kept).height, answer.height)

    def _keep_known(self, ask: Ask, answer: pl.DataFrame, coverage: Coverage) -> None:
        """Tell of a cut answer. A day that is always answered short must not take every sweep for itself, so that
        the ledger says it was asked for; one without rows is left alone there, and the next sync asks again."""
        kept = self.cache.rows(ask.table, ask.unit)
        if answer.height and kept is not None:
            self.cache.note(ask.table, ask.unit, kept, self.clock.now())
        coverage.note_cut(ask.table.name, ask.unit, answer.height)
        known, rows = self._on_record(ask.table, ask.unit), answer.height or "no"
        self.client.notify(f"{rows} rows of {ask.table.name} {ask.unit}, and {known} on record: those were kept")

    def _remember_absence(self, ask: Ask, answer: pl.DataFrame, days: Sequence[date]) -> None:
        """Keep that there was nothing, so that the rows are dated from when they are seen; the day stays awaited."""
        if self.cache.rows(ask.table, ask.unit) is None:
            nothing = visible(ask.table, first_versions(answer), days, self.exchange)
            self.cache.keep_rows(ask.table, ask.unit, nothing)

    def _on_record(self, table: Table, unit: str) -> int:
        entry = self.cache.entry(table.name, unit)
        return 0 if entry is None else entry.rows

    def _note_absent(self, table: Table, message: str, coverage: Coverage) -> None:
        if table.required:
            raise SourceError(
                f"The J-Quants plan of this key lacks {' or '.join(each.path for each in table.endpoints)}, which the "
                f"source needs ({message}). Subscribe to a plan in the J-Quants dashboard (the free one has both), "
                "and set source.plan to it."
            )
        status = coverage.status(table.name)
        status.state, status.message = "absent", message
        status.asked = self.clock.now().isoformat(timespec="seconds")
        self.absent.add(table.name)

    def _answer(self, ask: Ask, today: date) -> pl.DataFrame:
        params = self._clipped(ask, today)
        parts: list[pl.DataFrame] = []
        for endpoint in ask.table.endpoints:
            part = self._rows(endpoint, params, ask.unit)
            if not part.height and parts:
                raise SourceError(
                    f"J-Quants has {parts[0].height} rows of {ask.table.endpoints[0].path} for {ask.unit} and none of "
                    f"{endpoint.path}, so their sectors and markets are not known. Run the command again later."
                )
            if not part.height:
                return pl.DataFrame(schema=ask.table.schema)
            parts.append(part)
        newest = ask.table.required and ask.unit == today.isoformat()
        if newest and not self._on_record(ask.table, ask.unit) and is_unfinished(*parts):
            self.client.notify(
                f"{parts[0].height} of {parts[1].height} codes have bars of {ask.unit} yet: not complete"
            )
            return pl.DataFrame(schema=ask.table.schema)
        return join(ask.table, parts)

    def _rows(self, endpoint: Endpoint, params: dict[str, str], unit: str) -> pl.DataFrame:
        found = to_frame(endpoint, self.client.rows(endpoint.path, params), unit)
        self._odd = found.odd
        return found.frame

    def _clipped(self, ask: Ask, today: date) -> dict[str, str]:
        """A unit's query; that of a year is cut to the plan's window, and to the days that have been."""
        if ask.table.cadence != "year":
            return {"date": ask.unit}
        first, last = self.windows.get(ask.table.name, self.windows.get("calendar", (None, None)))
        low, high = first_day(ask.unit), min(last_day(ask.unit), today)
        return {"from": max(low, first or low).isoformat(), "to": min(high, last or high).isoformat()}

    def _keep(self, ask: Ask, answer: pl.DataFrame, days: Sequence[date]) -> None:
        now = self.clock.now()
        query = self._clipped(ask, days[-1])
        span = (query["from"], query["to"]) if "from" in query else None
        known = self.cache.rows(ask.table, ask.unit)
        if known is None:
            versions = first_versions(answer)
        else:
            before, entry = known.drop(VISIBLE), self.cache.entry(ask.table.name, ask.unit)
            late = overdue(ask, answer, known, entry, days, self.exchange)
            versions = update(ask.table, ask.unit, before, answer, now, late)
            if versions is before:
                self.cache.note(ask.table, ask.unit, known, now, span)
                return
        self.cache.keep(ask.table, ask.unit, visible(ask.table, versions, days, self.exchange), now, span)

    def _require_no_gaps(self, coverage: Coverage, days: Sequence[date]) -> None:
        """Refuse a trading day without bars that later days have overtaken."""
        last = max((unit for unit, entry in self.cache.entries(QUOTES.name).items() if entry.rows), default="")
        late = {day.isoformat() for day in days[-_LATE_DAYS:]}
        gaps = [day for day in sorted(coverage.awaited) if day < last or day not in late]
        if gaps:
            reason = "has later ones" if gaps[0] < last else "has had time to publish them"
            raise SourceError(
                f"J-Quants has no bars on {len(gaps)} trading days of the {self.exchange.exchange} calendar, the first "
                f"being {gaps[0]}, and {reason}. Run the command again later; if there was no trading on that day, "
                "correct the holidays (calendar.holidays), or name the day in source.empty_days."
            )


def _time(minutes: float) -> str:
    if minutes <= 1:
        return "less than a minute"
    return f"about {math.ceil(round(minutes, 6))} minutes" if minutes < 120 else f"about {minutes / 60:.1f} hours"
