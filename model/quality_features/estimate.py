"""What bringing the features up to date would cost, before anything is read: for ``gogooku refresh --dry-run``.

Known beforehand are the trading days whose content changed, not how many of their names did. So two costs are given,
between which the true one lies: that of one name having changed on each of the days, and that of all. Both follow from
the same rules that the stage itself goes by, and from the seconds a cell that the last full build took.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from model.daily_quotes.settings import SimulatedSource
from model.labels.labels import TURNOVER_DAYS, label_names, reach
from model.quality_features.bands import MARKET, REDUCTIONS, bands, reduction_band
from model.quality_features.bands_jobs import Job, label_jobs, reached
from model.quality_features.read import ASSET, DAYS_FILE
from model.quality_features.rows_changes import NO_ROWS, Changes
from model.quality_features.stage import LABELS, feature_jobs
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings


@dataclass(frozen=True)
class Cost:
    """What would be computed."""

    seconds: float
    cells: int
    months: Mapping[str, int]
    """Table to the months of it that would be touched."""


@dataclass(frozen=True)
class Estimate:
    """The least and the most that bringing the features and labels up to date can cost, beside everything."""

    one_name: Cost
    every_name: Cost
    full: Cost


def estimate(store: Store, settings: "Settings", changed: Collection[date]) -> Estimate | None:
    """The cost of a change of some trading days, with the code and settings that the features were made by.

    Args:
        changed: days whose content is another than it was; days that are new are among them.

    Returns:
        None where the features were never computed in full, or not with what this one goes by.
    """
    manifest = store.manifest(ASSET)
    full: Mapping[str, Any] = manifest.extra.get("full", {}) if manifest else {}
    if manifest is None or not {"features", LABELS} <= full.keys():
        return None
    days = _days(store.read_table(ASSET, DAYS_FILE), changed)
    known = set(days.filter(pl.col("known"))["Date"].to_list())
    new = tuple(sorted(set(changed) - known))
    old = sorted(set(changed) & known)
    one_row = pl.DataFrame({"Date": old}, schema={"Date": pl.Date}).with_columns(
        Code=pl.lit(""), features=pl.lit(True), slow=pl.lit(False), labels=pl.lit(True)
    )
    table = days.drop("known")
    one = Changes(table, frozenset(), one_row.select(NO_ROWS.columns), new, ())
    every = Changes(table, frozenset(), NO_ROWS, tuple(sorted(changed)), ())
    total = Cost(
        sum(float(each["seconds"]) for each in full.values()),
        sum(int(each["cells"]) for each in full.values()),
        {name: int(full[LABELS]["months"]) for name in manifest.extra["computed_months"]},
    )
    return Estimate(_cost(settings, one, full), _cost(settings, every, full), total)


def _days(recorded: pl.DataFrame, changed: Collection[date]) -> pl.DataFrame:
    """The trading days as they will be, with the rows that new ones are expected to have: as many as any has."""
    fresh = pl.DataFrame({"Date": sorted(set(changed) - set(recorded["Date"].to_list()))}, schema={"Date": pl.Date})
    expected = fresh.with_columns(rows=pl.lit(recorded["rows"].max(), pl.Int64), known=pl.lit(False))
    return pl.concat([recorded.with_columns(known=pl.lit(True)), expected], how="diagonal").sort("Date")


def _cost(settings: "Settings", changes: Changes, full: Mapping[str, Any]) -> Cost:
    inner = reduction_band(settings.features)
    layout = (*bands(settings.features), *([inner] if inner.columns else []))
    nothing_whole = np.zeros(len(changes.days), dtype=np.bool_)
    longest = max(band.lookback_days for band in layout)
    bars, slow = (reached(changes, what, 0, longest - 1) for what in ("features", "slow"))
    planned = {
        band.table: (
            feature_jobs(settings.features, band, bars, slow, nothing_whole),
            len(band.columns),
            band.lookback_days,
        )
        for band in layout
    }
    whole_history = isinstance(settings.source, SimulatedSource)
    horizon = reach(settings.labels)
    planned[LABELS] = (
        label_jobs(changes, TURNOVER_DAYS - 1, horizon, nothing_whole, whole_history=whole_history),
        len(label_names(settings.labels)) + len(settings.labels.horizons),  # and an oracle of each horizon
        TURNOVER_DAYS + horizon,
    )
    most = int(changes.day_table["rows"].to_numpy().max())
    seconds, cells, months = 0.0, 0, {}
    for table, (jobs, columns, lookback) in planned.items():
        family = full[LABELS if table == LABELS else "features"]
        names = 1 if table in (MARKET, REDUCTIONS) else most
        spent, computed, touched = _table_cost(changes, jobs, columns, lookback, family, names)
        seconds, cells = seconds + spent, cells + computed
        months[table] = touched
    return Cost(seconds, cells, months)


def _table_cost(
    changes: Changes, jobs: Sequence[Job], columns: int, lookback: int, full: Mapping[str, Any], names: int
) -> tuple[float, int, int]:
    """Seconds, cells and months: what is computed, the rows read for it, and the chunks written."""
    position = {day: index for index, day in enumerate(changes.days)}
    computed = cells = 0
    touched: set[str] = set()
    for job in jobs:
        days = position[job.last] - position[job.first] + 1
        width = len(job.names) or columns
        of_names = names if job.codes is None else len(job.codes)
        cells += days * of_names * width
        # A few names cost about what reading one column of everybody does.
        computed += (days + lookback) * names * (width if job.codes is None else 1)
        touched |= {f"{day:%Y-%m}" for day in changes.days[position[job.first] : position[job.last] + 1]}
    written = sum(names * len(changes.months[month]) * columns for month in touched)
    rate = {part: float(full[f"{part}_seconds"]) / max(int(full["cells"]), 1) for part in ("compute", "write")}
    return computed * rate["compute"] + written * rate["write"], cells, len(touched)
