"""What can happen to a panel: one change each, drawn with a generator."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl

Edit = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def days_of(panel: pl.DataFrame) -> list[date]:
    return panel["Date"].unique().sort().to_list()


def a_row(panel: pl.DataFrame, rng: np.random.Generator) -> pl.Expr:
    date_, code = panel.select("Date", "Code").row(int(rng.integers(panel.height)))
    return (pl.col("Date") == date_) & (pl.col("Code") == code)


def prices_mended(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    for _ in range(int(rng.integers(1, 4))):
        hit = a_row(panel, rng)
        panel = panel.with_columns(AdjClose=pl.when(hit).then(pl.col("AdjClose") * 1.1).otherwise("AdjClose"))
    return panel


def turnover_mended(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return panel.with_columns(TurnoverValue=pl.when(a_row(panel, rng)).then(None).otherwise("TurnoverValue"))


def limit_flag_mended(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Only labels read the flag."""
    return panel.with_columns(LimitUp=pl.col("LimitUp") ^ a_row(panel, rng))


def unadjusted_close_mended(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Only what a portfolio trades at, beside the labels, reads it."""
    return panel.with_columns(Close=pl.when(a_row(panel, rng)).then(pl.col("Close") * 2.0).otherwise("Close"))


def rows_deleted(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return panel.filter(~(a_row(panel, rng) | a_row(panel, rng)))


def row_inserted(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A row of a code on a day on which it had none."""
    code = panel["Code"].unique().sort()[0]
    absent = [day for day in days_of(panel) if panel.filter(Date=day, Code=code).is_empty()]
    day = absent[int(rng.integers(len(absent)))]
    like = panel.filter(pl.col("Date") == day).head(1).with_columns(Code=pl.lit(code))
    return pl.concat([panel, like]).sort("Date", "Code")


def day_deleted(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    days = days_of(panel)
    return panel.filter(pl.col("Date") != days[int(rng.integers(len(days)))])


def day_inserted(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A Saturday's rows, of some of the codes."""
    days = [day for day in days_of(panel) if day.weekday() == 4 and day + timedelta(days=1) not in panel["Date"]]
    day = days[int(rng.integers(len(days)))]
    rows = panel.filter(pl.col("Date") == day).with_columns(pl.col("Date") + timedelta(days=1))
    return pl.concat([panel, rows.gather_every(2)]).sort("Date", "Code")


def split_restated(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """All adjusted figures of a code from some day on."""
    day, code = panel.filter(a_row(panel, rng)).select("Date", "Code").row(0)
    hit = (pl.col("Date") >= day) & (pl.col("Code") == code)
    prices = [name for name in panel.columns if name.startswith("Adj")]
    return panel.with_columns(pl.when(hit).then(pl.col(name) * 0.5).otherwise(name).alias(name) for name in prices)


def name_listed(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    day, code = panel.filter(a_row(panel, rng)).select("Date", "Code").row(0)
    rows = panel.filter(pl.col("Date") >= day, pl.col("Code") == code)
    return (
        pl.concat([panel, rows.with_columns(Code=pl.lit(f"0{rng.integers(99)}X"))])
        .unique(["Date", "Code"], keep="first")
        .sort("Date", "Code")
    )


def name_gone(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    codes = panel["Code"].unique().sort()
    return panel.filter(pl.col("Code") != codes[int(rng.integers(1, len(codes)))])


def sector_changed(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    day, code = panel.filter(a_row(panel, rng)).select("Date", "Code").row(0)
    hit = (pl.col("Date") >= day) & (pl.col("Code") == code)
    other = pl.when(pl.col("Sector") == "S1").then(pl.lit("S0")).otherwise(pl.lit("S1"))
    return panel.with_columns(Sector=pl.when(hit).then(other).otherwise("Sector"))


def universe_changed(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Other members in one month."""
    day = panel.filter(a_row(panel, rng))["Date"][0]
    hit = pl.col("Date").dt.strftime("%Y-%m") == f"{day:%Y-%m}"
    flips = pl.Series(rng.random(panel.height) < 0.3)
    return panel.with_columns(InUniverse=pl.col("InUniverse") ^ (hit & flips))


def days_appended(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    last = panel["Date"].max()
    assert isinstance(last, date)
    rows = panel.filter(pl.col("Date") == last)
    later = [rows.with_columns(Date=pl.lit(last + timedelta(days=n))) for n in range(1, int(rng.integers(2, 4)))]
    return pl.concat([panel, *later])


def newest_days_gone(panel: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    return panel.filter(pl.col("Date") < days_of(panel)[-int(rng.integers(1, 30))])


EDITS: tuple[Edit, ...] = (
    prices_mended,
    turnover_mended,
    limit_flag_mended,
    unadjusted_close_mended,
    rows_deleted,
    row_inserted,
    day_deleted,
    day_inserted,
    split_restated,
    name_listed,
    name_gone,
    sector_changed,
    universe_changed,
    days_appended,
    newest_days_gone,
)
