"""The picture of a day of ``daily_quotes``: its rows beside those of the days before it.

A thousand days may be published in one run, so the picture is for the run's newest day alone, and it is drawn from
the manifests: no table is opened.
"""

from typing import TYPE_CHECKING

import polars as pl
from matplotlib.figure import Figure

from model.daily_quotes.beside import TABLES
from model.daily_quotes.schema import ASSET, QUOTES
from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_DAYS = 60
"""Stored days shown, the partition's own the last of them."""
_BARS = "daily bars"


def draw_rows(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Rows of each table on the last stored days, as PNG."""
    return canvas.png(rows_figure(rows_per_day(store, partition)))


def rows_per_day(store: Store, partition: str | None) -> pl.DataFrame:
    """Date, table, rows of the partition's day and of the stored days before it, from their manifests."""
    days = [day for day in store.partitions(ASSET) if partition is None or day <= partition][-_DAYS:]
    names = {QUOTES: _BARS, **{table.file: name.replace("_", " ") for name, table in TABLES.items()}}
    found = [
        (day, name, files[file].rows or 0)
        for day, files in ((day, store.require(ASSET, day).files) for day in days)
        for file, name in names.items()
        if file in files
    ]
    schema = {"Date": pl.String(), "table": pl.String(), "rows": pl.Int64()}
    return pl.DataFrame(found, schema=schema, orient="row").with_columns(pl.col("Date").str.to_date())


def rows_figure(rows: pl.DataFrame) -> Figure:
    """The daily bars above, the tables beside them below, each on its own scale.

    Args:
        rows: Date, table, rows; the daily bars first.
    """
    others = [name for name in rows["table"].unique(maintain_order=True) if name != _BARS]
    ratios = [2, 1] if others else [1]
    figure, drawn = canvas.sheet(
        "How many rows did the last days bring?", len(ratios), height_ratios=ratios, sharex=True
    )
    upper, *lower = drawn if others else [drawn]
    own = rows.filter(pl.col("table") == _BARS)
    if own.is_empty():
        canvas.say(upper, "no day yet")
        return figure
    upper.bar(canvas.dates(own["Date"]), canvas.values(own["rows"]), 0.8, color=canvas.BLUE)
    canvas.name_axes(upper, "" if others else "trading day", "rows of daily bars")
    for axes in lower:
        for name, colour in zip(others, canvas.PALETTE, strict=False):
            table = rows.filter((pl.col("table") == name) & (pl.col("rows") > 0))
            dots = {"color": colour, "marker": ".", "linestyle": "none", "label": name}
            axes.plot(canvas.dates(table["Date"]), canvas.values(table["rows"]), **dots)
        axes.set_yscale("log")
        canvas.name_axes(axes, "trading day", "rows beside")
        canvas.side_legend(axes)
    canvas.date_axis(lower[-1] if lower else upper)
    return figure


PICTURES: tuple[Picture, ...] = (Picture("rows_per_day", "Rows of the last stored days", draw_rows),)
