"""Figures of the data-health page."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from model.pictures.date_axis import date_locator
from model.pictures.html_style import MUTED, TEXT_SIZE, legend, new_figure
from model.raw_dataset.gate import REASONS, SEPARATOR
from model.raw_dataset.health.facts import Facts
from model.raw_dataset.health.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, REASON_COLOURS, RED, TEAL
from model.raw_dataset.health.series import BIN_WIDTH

WIDE, HALF, NARROW = (9.6, 3.4), (5.6, 3.4), (4.4, 3.6)
"""Inches: across the page, half of it, and across a phone."""
Size = tuple[float, float]
Draw = Callable[[Size], Figure]
Array = NDArray[Any]
_LONG_LABELS = 2.1
"""Inches of a legend's column where the labels are long."""
_NARROW = 5.0
"""Figures up to this many inches wide have fewer ticks."""
_MOST_POINTS = 700
_SHOWN_REASONS = 6
OTHER = "other reasons"
_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
MONTH = "month"


def names(facts: Facts, size: Size, thin: pl.DataFrame) -> Figure:
    """Names with a close, traded, and in the universe; thin days marked."""
    figure, axes = new_figure(*size)
    daily = _thinned(facts.daily.select("Date", "priced", "tradable", "members"))
    for label, column, colour, width in (
        ("traded", "tradable", TEAL, 2.6),
        ("with a close", "priced", BLUE, 1.2),
        ("in the universe", "members", ORANGE, 1.6),
    ):
        axes.plot(_days(daily), daily[column].to_numpy(), color=colour, linewidth=width, label=label)
    if thin.height:
        x = date2num(thin["Date"].to_numpy())  # type: ignore[no-untyped-call]
        axes.scatter(x, thin["priced"].to_numpy(), s=26, color=RED, zorder=4, label="thin days")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_THOUSANDS)
    _date_axis(axes)
    legend(axes)
    return figure


def turnover(facts: Facts, size: Size) -> Figure:
    """Value traded a day, median of each month."""
    figure, axes = new_figure(*size)
    monthly = facts.daily.group_by(pl.col("Date").dt.truncate("1mo"), maintain_order=True).agg(
        pl.col("turnover").median()
    )
    axes.plot(_days(monthly), monthly["turnover"].to_numpy(), color=GREEN, linewidth=1.8)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _amount(value)))
    _date_axis(axes)
    return figure


def histogram(facts: Facts, size: Size) -> Figure:
    """Daily log returns on a logarithmic count; half a mill of moves and a single misprint are both visible."""
    figure, axes = new_figure(*size)
    held = facts.histogram.filter(pl.col("count") > 0)
    left, counts = held["bin"].to_numpy(), held["count"].to_numpy()
    far = np.abs(left + BIN_WIDTH / 2) > np.log(2.0)
    for chosen, colour, label in ((~far, BLUE, "within a factor of two"), (far, RED, "beyond")):
        if chosen.any():
            of_them = f"{label}: {_total(counts[chosen])}"
            axes.bar(left[chosen], counts[chosen], BIN_WIDTH, align="edge", color=colour, label=of_them)
    reach = max(float(np.abs(left).max(initial=0.0)), np.log(2.5))
    axes.set_xlim(-reach - 3 * BIN_WIDTH, reach + 4 * BIN_WIDTH)
    axes.set_yscale("log")
    axes.set_ylim(0.7)
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.yaxis.minorticks_off()
    ticks = np.array(
        [1 / 50, 1 / 10, 1 / 4, 1 / 2, 1, 2, 4, 10, 50] if size[0] > _NARROW else [1 / 50, 1 / 5, 1, 5, 50]
    )
    ticks = ticks[np.abs(np.log(ticks)) <= reach + BIN_WIDTH]
    axes.set_xticks(np.log(ticks), [_multiple(tick) for tick in ticks])
    axes.set_xlabel("close over the close of the day before", color=MUTED, fontsize=TEXT_SIZE)
    legend(axes, 3.0)
    return figure


def outliers(facts: Facts, size: Size) -> Figure:
    """Outliers a month, those undone at the next close apart."""
    figure, axes = new_figure(*size)
    monthly = _monthly(facts, ("outliers", "reversed"))
    undone = monthly["reversed"].to_numpy()
    lasting = monthly["outliers"].to_numpy() - undone
    _stack(axes, monthly, {"undone the next day": (undone, RED), "lasting": (lasting, GREY)})
    return figure


def streaks(facts: Facts, size: Size) -> Figure:
    """Share of rows in a long streak, by month."""
    figure, axes = new_figure(*size)
    monthly = _monthly(facts, ("stale", "quiet", "rows"))
    for column, colour, label in (("stale", PURPLE, "same close"), ("quiet", ORANGE, "no trading")):
        axes.plot(
            _days(monthly), (monthly[column] / monthly["rows"]).to_numpy(), color=colour, linewidth=1.8, label=label
        )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=2))
    _date_axis(axes)
    legend(axes)
    return figure


def quarantine(rows: pl.DataFrame, facts: Facts, size: Size) -> Figure:
    """Quarantined rows a month by their gravest reason.

    Args:
        rows: Date and reason (several joined in the order of ``REASONS``, the gravest first).
    """
    figure, axes = new_figure(*size)
    counted = (
        rows.select(_month(), reason=pl.col("reason").str.split(SEPARATOR).list.first()).group_by(MONTH, "reason").len()
    )
    totals = counted.group_by("reason").agg(pl.col("len").sum()).sort(["len", "reason"], descending=[True, False])
    most = totals["reason"].to_list()[:_SHOWN_REASONS]
    shown = sorted(most, key=lambda reason: (REASONS.index(reason) if reason in REASONS else len(REASONS), reason))
    grouped = counted.with_columns(
        reason=pl.when(pl.col("reason").is_in(shown)).then("reason").otherwise(pl.lit(OTHER))
    )
    months = _monthly(facts, ())
    parts = {}
    for reason, colour in zip([*shown, OTHER], REASON_COLOURS, strict=False):
        own = grouped.filter(pl.col("reason") == reason).group_by(MONTH).agg(pl.col("len").sum())
        heights = months.join(own, on=MONTH, how="left", maintain_order="left")["len"].fill_null(0).to_numpy()
        if heights.sum():
            parts[reason.replace("_", " ")] = (heights, colour)
    _stack(axes, months, parts)
    return figure


def universe(chosen: pl.DataFrame, size: Size) -> Figure:
    """The median traded value that the last member had, at each choice, and the first one's.

    Args:
        chosen: EffectiveDate, size, threshold, largest.
    """
    figure, axes = new_figure(*size)
    x = date2num(chosen["EffectiveDate"].to_numpy())  # type: ignore[no-untyped-call]
    for column, colour, label in (("largest", GREY, "largest member"), ("threshold", ORANGE, "smallest member")):
        axes.step(
            x, chosen[column].to_numpy(), where="post", color=colour, linewidth=1.8, marker="o", ms=4, label=label
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _amount(value)))
    axes.yaxis.minorticks_off()
    _date_axis(axes)
    legend(axes)
    return figure


def beside(facts: Facts, size: Size) -> Figure:
    """Rows of each table beside the bars, by month, on a logarithmic scale."""
    figure, axes = new_figure(*size)
    monthly = facts.beside.group_by("table", _month()).agg(pl.col("rows").sum()).sort("table", MONTH)
    for (name,), colour in zip(
        monthly.select("table").unique(maintain_order=True).iter_rows(), REASON_COLOURS, strict=False
    ):
        own = monthly.filter(pl.col("table") == name)
        x = date2num(own[MONTH].to_numpy())  # type: ignore[no-untyped-call]
        y = own.select(pl.when(pl.col("rows") > 0).then("rows").cast(pl.Float64).fill_null(np.nan))["rows"].to_numpy()
        axes.plot(x, y, color=colour, linewidth=1.8, label=str(name).replace("_", " "))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.yaxis.minorticks_off()
    _date_axis(axes)
    legend(axes)
    return figure


def _monthly(facts: Facts, columns: tuple[str, ...]) -> pl.DataFrame:
    return facts.daily.group_by(_month(), maintain_order=True).agg(pl.col(column).sum() for column in columns)


def _month() -> pl.Expr:
    return pl.col("Date").dt.truncate("1mo").alias(MONTH)


def _stack(axes: Axes, months: pl.DataFrame, parts: Mapping[str, tuple[Array, str]]) -> None:
    """Bars on top of each other, one a month."""
    x = _days(months)
    floor = np.zeros(len(x))
    for label, (heights, colour) in parts.items():
        axes.bar(x, heights, 0.85 * 30, bottom=floor, align="edge", color=colour, label=label, lw=0)
        floor = floor + heights
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(_THOUSANDS)
    _date_axis(axes)
    legend(axes, _LONG_LABELS)


def _thinned(daily: pl.DataFrame) -> pl.DataFrame:
    """At most about ``_MOST_POINTS`` points: medians of neighbouring days where there are more."""
    stride = -(-daily.height // _MOST_POINTS)
    if stride <= 1:
        return daily
    group = pl.int_range(pl.len()) // stride
    return daily.group_by(group.alias("group"), maintain_order=True).agg(
        pl.col("Date").first(), pl.exclude("Date", "group").median()
    )


def _days(frame: pl.DataFrame) -> Array:
    column = MONTH if MONTH in frame.columns else "Date"
    return np.asarray(date2num(frame[column].to_numpy()))  # type: ignore[no-untyped-call]


def _date_axis(axes: Axes) -> None:
    figure = axes.get_figure(root=True)
    wide = figure is not None and figure.get_figwidth() > _NARROW
    locator = date_locator(minticks=3, maxticks=9 if wide else 5)
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator,
        formats=["%Y", "%Y-%m", "%d %b", "%H:%M", "%H:%M", "%S"],
        zero_formats=["", "%Y", "%b", "", "", ""],
        show_offset=False,
    )
    axes.xaxis.set_major_formatter(formatter)


def _total(counts: Array) -> str:
    return f"{int(np.sum(counts)):,}"


def _multiple(value: float) -> str:
    return f"×{value:.0f}" if value >= 1 else f"÷{1 / value:.0f}"


def _amount(value: float) -> str:
    """An amount of money in the words of a newspaper: 80 bn."""
    for size, unit in ((1e12, " tn"), (1e9, " bn"), (1e6, " m"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
