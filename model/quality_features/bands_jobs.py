"""From what changed to what is computed again: calls of the engine that cover every cell that can differ.

A cell is a function of its window, so a changed row reaches a bounded stretch of days: of its own code through windows
in time, of every code through what is compared or averaged across names. Where a trading day was inserted or deleted,
the windows of all names hold other days, so every code counts until the longest lookback has passed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.quality_features.language.dirty import Changed, affected
from model.quality_features.language.plan import Plan
from model.quality_features.rows_changes import Changes

Mask = NDArray[np.bool_]

_MOST_MARKS = 400_000
"""Days times codes up to which marks are followed name by name."""


@dataclass(frozen=True)
class Job:
    """One computation: some columns, on the trading days ``first`` to ``last``, of some codes or of all (None)."""

    first: date
    last: date
    names: tuple[str, ...]
    codes: tuple[str, ...] | None

    def within(self, first: date, last: date) -> "Job | None":
        """The part that falls on ``first`` to ``last``."""
        low, high = max(self.first, first), min(self.last, last)
        return Job(low, high, self.names, self.codes) if low <= high else None


@dataclass(frozen=True)
class Reached:
    """What changed, laid out on the stretch of trading days that it can reach and the codes with changed rows."""

    days: tuple[date, ...]
    stretch: slice
    """Where the days stand among all trading days of the panel."""
    codes: tuple[str, ...]
    rows: Mask
    """[days, codes]: rows that were changed, inserted or deleted, but for those of days in ``broken``."""
    broken: Mask
    """[days + 1]: a trading day was inserted here or deleted just before (the last stands for the panel's end), so that
    windows hold other days; or so many rows of the day changed that every code is taken for changed."""
    market: Mask
    """[days]: the day's market-wide values differ."""
    names: int
    """How many names a day has at most, changed or not."""


@dataclass(frozen=True)
class Cells:
    """Where one column must be computed again, on the days and codes of what changed."""

    everyone: Mask
    """[days]: for every code."""
    own: Mask
    """[days, codes]: for these codes."""


def reached(changes: Changes, what: Literal["features", "slow", "labels"], back: int, forward: int) -> Reached:
    """The changes of one kind of input: of the panel and the trading days, or of slow values alone.

    Args:
        what: which fingerprint of the rows counts; trading days and market-wide values do not under ``slow``.
        back: trading days before a change that it can reach.
        forward: trading days after a change that it can reach.
    """
    days = np.array(changes.days, dtype="datetime64[D]")
    count = len(days)
    broken = np.zeros(count + 1, dtype=np.bool_)  # the last stands for the end
    broken[np.searchsorted(days, np.array(changes.breaks, dtype="datetime64[D]"))] = what != "slow"
    market = np.zeros(count + 1, dtype=np.bool_)
    market[np.searchsorted(days, np.array(changes.market_days, dtype="datetime64[D]"))] = what == "features"
    listed = changes.rows.filter(pl.col(what), pl.col("Date").is_in(changes.day_table["Date"].implode()))
    day = np.searchsorted(days, listed["Date"].to_numpy())
    listed, day = listed.filter(pl.Series(~broken[day], dtype=pl.Boolean)), day[~broken[day]]
    hit = broken | market
    hit[day] = True
    places = np.flatnonzero(hit)
    if not len(places):
        nothing = np.zeros(0, dtype=np.bool_)
        return Reached((), slice(0, 0), (), nothing[:, None], broken[:1], nothing, 0)
    stretch = slice(max(int(places[0]) - back, 0), min(int(places[-1]) + forward + 1, count))
    codes = listed["Code"].unique().sort()
    if len(codes) * (stretch.stop - stretch.start) > _MOST_MARKS:
        broken[day] = True
        listed, day, codes = listed.clear(), day[:0], codes.clear()
    rows = np.zeros((stretch.stop - stretch.start, len(codes)), dtype=np.bool_)
    rows[day - stretch.start, listed["Code"].cast(pl.Enum(codes)).to_physical().to_numpy()] = True
    return Reached(
        days=changes.days[stretch],
        stretch=stretch,
        codes=tuple(codes),
        rows=rows,
        broken=broken[stretch.start : stretch.stop + 1],
        market=market[stretch],
        names=int(changes.day_table["rows"].to_numpy().max()),
    )


def spread(marked: Mask, back: int, forward: int) -> Mask:
    """Days (axis 0) that lie at most ``back`` before or ``forward`` after a marked one."""
    length = len(marked)
    total = np.concatenate([np.zeros((1, *marked.shape[1:]), np.int32), np.cumsum(marked, axis=0, dtype=np.int32)])
    day = np.arange(length)
    found: Mask = total[np.minimum(day + back, length - 1) + 1] > total[np.maximum(day - forward, 0)]
    return found


def feature_cells(plan: Plan, found: Reached) -> dict[str, Cells]:
    """For each column of a plan, the cells that can differ."""
    others = np.zeros((len(found.days), max(found.names - len(found.codes), 0)), dtype=np.bool_)
    everybody = np.concatenate([found.rows, others], axis=1)  # the changed names first, then those that are as before
    cells = {}
    for name, each in affected(plan, Changed(everybody, market=found.market, axis=found.broken[:-1])).items():
        own = np.zeros_like(found.rows)
        own[:, each.codes] = each.cells
        cells[name] = Cells(each.every, own)
    return cells


def jobs(found: Reached, cells: Mapping[str, Cells], lookback_days: int, computed_whole: Mask) -> list[Job]:
    """Computations that cover the cells, in the order of their days.

    Args:
        lookback_days: days that a computation reads anyway: stretches nearer to each other are computed as one.
        computed_whole: [all trading days]: what is computed in full by other means.
    """
    skipped = computed_whole[found.stretch]
    planned: list[Job] = []
    everyone = {name: each.everyone & ~skipped for name, each in cells.items()}
    any_of = np.logical_or.reduce([np.zeros(len(found.days), np.bool_), *everyone.values()])
    for run in _stretches(any_of, lookback_days):
        names = tuple(name for name, mask in everyone.items() if mask[run].any())
        planned.append(Job(found.days[run.start], found.days[run.stop - 1], names, None))
    own = {name: each.own & ~(each.everyone | skipped)[:, None] for name, each in cells.items()}
    by_code = np.logical_or.reduce([np.zeros_like(found.rows), *own.values()])
    for run in _stretches(by_code.any(axis=1), lookback_days):
        names = tuple(name for name, mask in own.items() if mask[run].any())
        codes = tuple(np.array(found.codes)[by_code[run].any(axis=0)].tolist())
        planned.append(Job(found.days[run.start], found.days[run.stop - 1], names, codes))
    return sorted(planned, key=lambda job: (job.first, job.codes is not None))


def label_jobs(
    changes: Changes, back: int, forward: int, computed_whole: Mask, *, whole_history: bool = False
) -> list[Job]:
    """What must be computed again of labels that read their own code ``back`` days back and ``forward`` days ahead.

    Args:
        whole_history: every row reads the panel from its first day on, so that any change concerns all.
    """
    if whole_history:
        return [Job(changes.days[0], changes.days[-1], (), None)] if changes.any else []
    found = reached(changes, "labels", forward, back)
    if not found.days:
        return []
    cells = Cells(spread(found.broken, forward, back)[:-1], spread(found.rows, forward, back))
    planned = jobs(found, {"labels": cells}, back + forward + 1, computed_whole)
    return [replace(job, names=()) for job in planned]  # all columns at once


def _stretches(marked: Mask, gap: int) -> Iterator[slice]:
    """Stretches of marked days; two are one where fewer than ``gap`` days lie between them."""
    days = np.flatnonzero(marked)
    if not len(days):
        return
    ends = np.flatnonzero(np.diff(days) > gap)
    for first, last in zip([0, *(ends + 1)], [*ends, len(days) - 1], strict=True):
        yield slice(int(days[first]), int(days[last]) + 1)
