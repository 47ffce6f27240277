"""How long a signal lasts: its own persistence, and what remains of its IC as days pass."""

from collections.abc import Sequence

import polars as pl

from model.metrics.ic import daily_ic


def signal_autocorrelation(
    frame: pl.DataFrame, lag: int = 1, prediction: str = "prediction", min_names: int = 20
) -> pl.DataFrame:
    """Rank correlation of a day's predictions with those ``lag`` prediction days before, across the same stocks.

    Args:
        frame: Date, Code and the prediction, one row a stock and day.

    Returns:
        Date, n (stocks on both days) and rank_autocorrelation (null with fewer than ``min_names``), one row a day
        from the ``lag``-th on, sorted.

    Raises:
        ValueError: a lag of less than a day.
    """
    if lag < 1:
        raise ValueError(f"a lag of {lag} days compares nothing with the past; it must be at least 1")
    days = frame.select("Date").unique().sort("Date")
    before = days.with_columns(earlier=pl.col("Date").shift(lag)).drop_nulls()
    own = frame.select("Date", "Code", prediction=pl.col(prediction))
    past = own.rename({"Date": "earlier", "prediction": "label"})
    pairs = own.join(before, on="Date").join(past, on=["earlier", "Code"])
    found = daily_ic(pairs, min_names=min_names).select("Date", "n", rank_autocorrelation="rank_ic")
    return (
        before.select("Date")
        .join(found, on="Date", how="left", maintain_order="left")
        .with_columns(pl.col("n").fill_null(0))
    )


def ic_decay(
    predictions: pl.DataFrame,
    returns: pl.DataFrame,
    lags: Sequence[int],
    prediction: str = "prediction",
    min_names: int = 20,
) -> pl.DataFrame:
    """RankIC of each day's predictions with the single-day return ``k`` trading days ahead.

    Where a label over h days adds up what comes, this shows on which day it comes: the return from the close of day
    ``t + k - 1`` to that of day ``t + k``.

    Args:
        predictions: Date, Code and the prediction.
        returns: Date, Code, return_next (close of Date to the next close), every trading day from the first
            prediction on.
        lags: the ``k`` to look at, 1 for the day after the prediction.

    Returns:
        lag (Int32), Date, n, rank_ic, sorted; Date is the prediction's.

    Raises:
        ValueError: a lag of less than a day.
    """
    if any(lag < 1 for lag in lags):
        raise ValueError("a lag counts the days after the prediction, and so is at least 1")
    days = returns.select("Date").unique().sort("Date")
    parts = []
    for lag in sorted(lags):
        when = days.with_columns(start=pl.col("Date").shift(-(lag - 1))).drop_nulls()
        later = returns.select(start="Date", Code="Code", label="return_next")
        pairs = predictions.select("Date", "Code", prediction=pl.col(prediction)).join(when, on="Date")
        found = daily_ic(pairs.join(later, on=["start", "Code"], how="left"), min_names=min_names)
        parts.append(found.select(pl.lit(lag, pl.Int32).alias("lag"), "Date", "n", "rank_ic"))
    return pl.concat(parts)
