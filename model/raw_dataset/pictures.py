"""Pictures of the raw dataset: how many names there are, and what was quarantined."""

from typing import TYPE_CHECKING

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model.pictures import canvas
from model.raw_dataset.gate import REASONS, SEPARATOR
from model.raw_dataset.stage import ASSET, PANEL, QUARANTINE_FILE
from model.store.pictures import Picture
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_SHOWN = 6
"""Reasons with a colour of their own; the rarer ones are put together."""
_OTHER = "other reasons"


def draw_names(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Names per day and universe members, as PNG."""
    return canvas.png(names_figure(names_per_day(store), settings.universe.size))


def draw_quarantine(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Quarantined rows per month by reason, as PNG."""
    return canvas.png(quarantine_figure(store.read_table(ASSET, QUARANTINE_FILE, columns=["Date", "Code", "reason"])))


def names_per_day(store: Store) -> pl.DataFrame:
    """Date, priced (names with a close), tradable, members; one month of the panel in memory at a time."""
    columns = ["Date", "Close", "Tradable", "InUniverse"]
    months = [
        store.read_table(ASSET, f"{PANEL}/{month}.parquet", columns=columns)
        .group_by("Date")
        .agg(priced=pl.col("Close").count(), tradable=pl.col("Tradable").sum(), members=pl.col("InUniverse").sum())
        for month in store.chunks(ASSET, PANEL)
    ]
    return pl.concat(months).sort("Date")


def names_figure(daily: pl.DataFrame, size: int | None) -> Figure:
    """Lines over the days.

    Args:
        daily: Date, priced, tradable, members.
        size: the universe's size asked for; None where every name is a member.
    """
    figure, axes = canvas.sheet("How many names are there each day?")
    canvas.name_axes(axes, "trading day", "names (stocks)")
    if daily.is_empty():
        canvas.say(axes, "no trading day yet")
        return figure
    x = canvas.dates(daily["Date"])
    lines = (
        ("traded", "tradable", canvas.SKY, 3.5),
        ("with a close", "priced", canvas.BLUE, 1.2),
        ("in the universe", "members", canvas.RED, 1.5),
    )
    for label, column, colour, width in lines:
        last = daily[column][-1]
        axes.plot(
            x, canvas.values(daily[column]), color=colour, linewidth=width, label=f"{label}: {last} on the last day"
        )
    if size is not None:
        axes.axhline(size, color=canvas.GREY, linewidth=1.0, linestyle="--", label=f"universe.size = {size}")
    axes.set_ylim(0.0, 1.08 * max(int(daily["priced"].to_numpy().max()), size or 1))
    canvas.date_axis(axes)
    canvas.top_legend(axes, 2)
    return figure


def quarantine_figure(quarantine: pl.DataFrame) -> Figure:
    """Stacked bars, one a month; a row with several reasons counts once, under the gravest.

    Args:
        quarantine: Date, Code, reason (several joined in the order of ``REASONS``, the gravest first).
    """
    figure, axes = canvas.sheet("Quarantined rows a month, by their gravest reason")
    canvas.name_axes(axes, "month", "rows")
    if quarantine.is_empty():
        canvas.say(axes, "no row is quarantined")
        return figure
    counted = (
        quarantine.select(
            month=pl.col("Date").dt.truncate("1mo"), reason=pl.col("reason").str.split(SEPARATOR).list.first()
        )
        .group_by("month", "reason")
        .len()
    )
    totals = counted.group_by("reason").agg(pl.col("len").sum()).sort(["len", "reason"], descending=[True, False])
    shown = totals["reason"].to_list()[:_SHOWN]
    shown = sorted(shown, key=lambda reason: (REASONS.index(reason) if reason in REASONS else len(REASONS), reason))
    counted = counted.with_columns(pl.when(pl.col("reason").is_in(shown)).then("reason").otherwise(pl.lit(_OTHER)))
    present = [*shown, _OTHER] if totals.height > _SHOWN else shown
    month = pl.col("month")
    months = counted.select(pl.date_range(month.min(), month.max(), "1mo"))["month"]
    parts = []
    for reason, colour in zip(present, canvas.PALETTE, strict=False):
        own = counted.filter(pl.col("reason") == reason).group_by("month").agg(pl.col("len").sum())
        heights = pl.DataFrame({"month": months}).join(own, on="month", how="left")["len"].fill_null(0)
        parts.append((f"{reason} ({heights.sum()})", canvas.values(heights), colour))
    days = canvas.values(months.dt.month_end().dt.day())
    canvas.stacked(axes, canvas.dates(months), parts, 0.85 * days, align="edge")
    canvas.date_axis(axes)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    canvas.side_legend(axes, "reason (rows in all)")
    return figure


PICTURES: tuple[Picture, ...] = (
    Picture("names_per_day", "Names per day and universe members", draw_names),
    Picture("quarantine_by_month", "Quarantined rows a month by reason", draw_quarantine),
)
