"""What stocks returned by how they were ranked: ten equal groups of each day's cross-section."""

from collections.abc import Sequence

import polars as pl


def daily_deciles(
    frame: pl.DataFrame,
    prediction: str = "prediction",
    label: str = "label",
    by: str | Sequence[str] = "Date",
    groups: int = 10,
    min_names: int = 20,
    tie_break: str = "Code",
) -> pl.DataFrame:
    """Mean label of each prediction group on each day, relative to the day's mean over all its stocks.

    Group 1 holds the lowest predictions. Ties are broken by ``tie_break``, so that groups stay equal in size; a day
    with a constant prediction is left out, for its groups would be decided by the tie-break alone.

    Args:
        frame: one row a stock and day with ``tie_break``; rows without prediction or label are left out.

    Returns:
        The columns of ``by``, ``decile`` (1 … groups), ``n`` (stocks) and ``excess``, sorted.
    """
    keys = [by] if isinstance(by, str) else list(by)
    x, y, n = pl.col("x"), pl.col("y"), pl.len()
    pairs = frame.select(*keys, tie_break, x=pl.col(prediction).cast(pl.Float64), y=pl.col(label).cast(pl.Float64))
    pairs = pairs.filter(x.is_finite() & y.is_finite()).sort(*keys, tie_break)
    sections = (
        pairs.group_by(keys, maintain_order=True)
        .agg(
            decile=((x.rank("ordinal") - 1) * groups // n + 1).cast(pl.Int32),
            excess=y - y.mean(),
            usable=(n >= max(min_names, groups)) & (x.min() < x.max()),
        )
        .filter("usable")
    )
    return (
        sections.explode("decile", "excess")
        .group_by(*keys, "decile")
        .agg(n=n.cast(pl.Int64), excess=pl.col("excess").mean())
        .sort(*keys, "decile")
    )


def decile_means(daily: pl.DataFrame) -> pl.DataFrame:
    """Mean over days of ``daily_deciles``: decile, days, mean and its day-to-day standard deviation."""
    return (
        daily.group_by("decile")
        .agg(days=pl.len().cast(pl.Int64), mean=pl.col("excess").mean(), std=pl.col("excess").std())
        .sort("decile")
    )
