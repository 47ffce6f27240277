"""Cross-sectional agreement of predictions with what happened, day by day.

Everything is computed within a day across stocks, never over pooled rows: pooling would let the market's own
moves decide. A constant prediction (or label) has no correlation: the value is null, never a small number that
depends on the order of rows. Ties get average ranks.
"""

from collections.abc import Sequence

import polars as pl


def daily_ic(
    frame: pl.DataFrame,
    prediction: str = "prediction",
    label: str = "label",
    by: str | Sequence[str] = "Date",
    min_names: int = 20,
) -> pl.DataFrame:
    """Pearson (IC) and Spearman (RankIC) correlation of prediction and label on each day.

    Args:
        frame: one row a stock and day; rows whose prediction or label is null, NaN or infinite are left out.
        by: the column, or columns, that make a cross-section: the day, or for example horizon and day.
        min_names: fewest pairs with which a day counts.

    Returns:
        The columns of ``by``, ``n`` (pairs), ``ic`` and ``rank_ic`` (Float64), one row for each cross-section of
        ``frame``, sorted. Both are null with fewer than ``min_names`` pairs or where a side is constant.
    """
    keys = [by] if isinstance(by, str) else list(by)
    x, y = pl.col("x"), pl.col("y")
    sections = (
        _pairs(frame, keys, prediction, label)
        .group_by(keys, maintain_order=True)
        .agg(
            n=pl.len(),
            varied=(x.min() < x.max()) & (y.min() < y.max()),
            dx=_centred(x),
            dy=_centred(y),
            # Sums of centred ranks are exact in floating point, so RankIC does not depend on the order of the rows.
            dx_rank=x.rank("average") - (pl.len() + 1) / 2,
            dy_rank=y.rank("average") - (pl.len() + 1) / 2,
        )
    )
    sums = (
        sections.explode("dx", "dy", "dx_rank", "dy_rank")
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("n", "varied").first(),
            ic=_correlation(pl.col("dx"), pl.col("dy")),
            rank_ic=_correlation(pl.col("dx_rank"), pl.col("dy_rank")),
        )
    )
    counts = (pl.col("n") >= min_names) & pl.col("varied")
    figures = [pl.when(counts & pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in ("ic", "rank_ic")]
    return _every_section(frame, keys, sums.select(*keys, "n", *figures))


def _pairs(frame: pl.DataFrame, keys: list[str], prediction: str, label: str) -> pl.DataFrame:
    both = frame.select(*keys, x=pl.col(prediction).cast(pl.Float64), y=pl.col(label).cast(pl.Float64))
    return both.filter(pl.col("x").is_finite() & pl.col("y").is_finite())


def _centred(values: pl.Expr) -> pl.Expr:
    """Values less their mean, as a share of the largest: squares of very large ones would be infinite."""
    apart = values - values.mean()
    return apart / apart.abs().max()


def _correlation(dx: pl.Expr, dy: pl.Expr) -> pl.Expr:
    return (dx * dy).sum() / ((dx * dx).sum() * (dy * dy).sum()).sqrt()


def _every_section(frame: pl.DataFrame, keys: list[str], figures: pl.DataFrame) -> pl.DataFrame:
    sections = frame.select(keys).unique().sort(keys)
    return sections.join(figures, on=keys, how="left", maintain_order="left").with_columns(
        pl.col("n").fill_null(0).cast(pl.Int64)
    )
