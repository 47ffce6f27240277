"""How long a signal lasts, on series whose answer is known."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from model.metrics.persistence import ic_decay, signal_autocorrelation

DAYS = [date(2020, 1, 6) + timedelta(days=n) for n in range(12)]
CODES = [f"{n:04d}" for n in range(30)]


def grid(values: np.ndarray, name: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"Date": [day for day in DAYS for _ in CODES], "Code": CODES * len(DAYS), name: values.ravel()},
        schema_overrides={"Date": pl.Date},
    )


def test_a_signal_that_stays_has_autocorrelation_one_and_one_that_flips_minus_one() -> None:
    level = np.random.Generator(np.random.PCG64(1)).normal(size=len(CODES))
    stays = signal_autocorrelation(grid(np.tile(level, (len(DAYS), 1)), "prediction"))
    assert stays["rank_autocorrelation"].to_list() == pytest.approx([1.0] * (len(DAYS) - 1))
    assert stays["Date"].to_list() == DAYS[1:]
    flips = grid(np.outer((-1.0) ** np.arange(len(DAYS)), level), "prediction")
    assert signal_autocorrelation(flips)["rank_autocorrelation"].to_list() == pytest.approx([-1.0] * 11)
    assert signal_autocorrelation(flips, lag=2)["rank_autocorrelation"].to_list() == pytest.approx([1.0] * 10)
    with pytest.raises(ValueError, match="at least 1"):
        signal_autocorrelation(flips, lag=0)


def test_a_day_whose_names_are_all_new_has_no_autocorrelation() -> None:
    frame = grid(np.random.Generator(np.random.PCG64(1)).normal(size=(len(DAYS), len(CODES))), "prediction")
    renamed = pl.when(pl.col("Date") == DAYS[3]).then(pl.col("Code") + "x").otherwise(pl.col("Code"))
    found = signal_autocorrelation(frame.with_columns(Code=renamed))
    assert found.filter(pl.col("Date") == DAYS[3])["n"].item() == 0
    assert found.filter(pl.col("rank_autocorrelation").is_null())["Date"].to_list() == [DAYS[3], DAYS[4]]


def test_decay_finds_the_day_on_which_the_return_comes() -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    returns = rng.normal(size=(len(DAYS), len(CODES)))
    foresight = np.full_like(returns, np.nan)
    foresight[:-2] = returns[2:]  # knows the return of the third day ahead: close t + 2 to close t + 3
    found = ic_decay(grid(foresight, "prediction"), grid(returns, "return_next"), (1, 3))
    third = found.filter((pl.col("lag") == 3) & pl.col("rank_ic").is_not_null())
    assert third["rank_ic"].to_list() == pytest.approx([1.0] * (len(DAYS) - 2))
    assert third["Date"].to_list() == DAYS[:-2]
    first = found.filter((pl.col("lag") == 1) & pl.col("rank_ic").is_not_null())["rank_ic"]
    assert abs(float(first.mean())) < 0.3  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        ic_decay(grid(returns, "prediction"), grid(returns, "return_next"), (0,))
