"""Compute features of a stretch of days from the store: what must be read for them, and the engine's call."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from datetime import date

import polars as pl

from model.quality_features.bands_jobs import Job
from model.quality_features.engine import compute_features, compute_market, feature_plan, market_plan
from model.quality_features.language.columns import COLUMNS, MEMBER, SECTOR
from model.quality_features.language.plan import Plan
from model.quality_features.rows_panel import Panel
from model.quality_features.settings import FeatureSettings


def compute_job(
    panel: Panel,
    days: Sequence[date],
    settings: FeatureSettings,
    job: Job,
    market: Collection[str] = (),
    threads: int = 2,
) -> pl.DataFrame:
    """Date, Code, InUniverse and the columns of a job, sorted; from rows dated up to its last day only.

    Args:
        days: the panel's trading days.
        market: columns with one value a day. A job of these alone gives each day a few times, not for every name.
        threads: as the engine's; does not change a bit.
    """
    plan = feature_plan(settings, job.names)
    start = days_before(days, job.first, plan.lookback_days - 1)
    codes = None if plan.across_names else job.codes
    rows = panel.window(start, job.last, _columns(plan, days, job.first), codes)
    wanted: Collection[str] | None = job.codes
    if job.names and all(name in market for name in job.names):
        wanted = rows.filter(pl.col("Date").is_first_distinct())["Code"].unique().to_list()
    return compute_features(
        rows,
        settings,
        job.first,
        job.last,
        names=job.names,
        codes=wanted,
        threads=threads,
        market=panel.market(start, job.last) if "market" in _tables(plan) else None,
    )


def market_job(
    panel: Panel,
    days: Sequence[date],
    settings: FeatureSettings,
    reduced: Callable[[Sequence[str]], pl.DataFrame],
    job: Job,
) -> pl.DataFrame:
    """Market-wide features of a job, one row a day, from what the names of each day were reduced to.

    Args:
        panel: gives raw_dataset's market table.
        days: the panel's trading days.
        settings: what is selected.
        reduced: reads Date and the reductions of some months.
        job: of market-wide features.
    """
    start = days_before(days, job.first, market_plan(settings, job.names).lookback_days - 1)
    window = days[bisect_left(days, start) : bisect_right(days, job.last)]
    values = reduced(sorted({f"{day:%Y-%m}" for day in window}))
    beside = panel.market(start, job.last)
    if beside is not None:
        values = values.join(beside, on="Date", how="left", maintain_order="left")
    return compute_market(window, values, settings, job.first, job.last, job.names)


def days_before(days: Sequence[date], day: date, count: int) -> date:
    """The trading day so many before, or the first."""
    return days[max(bisect_left(days, day) - count, 0)]


def _tables(plan: Plan) -> set[str]:
    """The tables of raw_dataset that a plan reads."""
    return {COLUMNS[name].table for name in plan.columns}


def _columns(plan: Plan, days: Sequence[date], first: date) -> dict[str, date]:
    """The columns of rows that a plan reads for results from ``first`` on, and from which day on it reads each."""
    columns = {
        COLUMNS[name].source: days_before(days, first, back)
        for name, back in plan.columns.items()
        if COLUMNS[name].table != "market"  # which has no rows but days
    }
    columns[MEMBER] = days_before(days, first, plan.across_back)
    if plan.by_sector:
        columns[SECTOR] = columns[MEMBER]
    return columns
