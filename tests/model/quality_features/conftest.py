"""Small panels that look like raw_dataset's."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

PanelMaker = Callable[..., pl.DataFrame]


def trading_days(count: int, first: date = date(2015, 1, 1)) -> list[date]:
    days = [first + timedelta(days=offset) for offset in range(count * 2)]
    return [day for day in days if day.weekday() < 5][:count]


def random_panel(
    days: int, codes: int, seed: int = 0, *, missing: float = 0.05, sectors: int = 2, members: float = 0.8
) -> pl.DataFrame:
    """Random walks with missing rows, missing fields, changing membership and sectors."""
    rng = np.random.Generator(np.random.PCG64(seed))
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, codes)), axis=0))
    open_ = close * np.exp(rng.normal(0, 0.01, close.shape))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.01, close.shape)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.01, close.shape)))
    volume = np.floor(rng.lognormal(10, 1, close.shape))
    volume[rng.random(close.shape) < missing / 2] = 0.0
    axis = trading_days(days)
    names = [f"{1000 + number}A" for number in range(codes)]
    frame = pl.DataFrame(
        {
            "Date": pl.Series(axis).gather(np.repeat(np.arange(days), codes)),
            "Code": names * days,
            "AdjOpen": open_.ravel(),
            "Close": 2.0 * close.ravel(),
            "AdjHigh": high.ravel(),
            "AdjLow": low.ravel(),
            "AdjClose": close.ravel(),
            "AdjVolume": volume.ravel(),
            "TurnoverValue": (close * volume).ravel(),
            "Tradable": (volume > 0).ravel(),
            "LimitUp": (rng.random(close.size) < 0.05),
            "LimitDown": (rng.random(close.size) < 0.05),
            "Sector": [f"S{number % sectors}" if sectors else None for number in range(codes)] * days,
            "InUniverse": rng.random(close.size) < members,
        },
        schema_overrides={"Sector": pl.String},
    )
    hidden = pl.Series(rng.random(close.size) < missing / 2)
    frame = frame.with_columns(
        pl.when(~hidden).then(pl.col(name)).alias(name) for name in ("AdjOpen", "Close", "AdjClose", "AdjHigh")
    )
    return frame.filter(pl.Series(rng.random(close.size) >= missing))


@pytest.fixture(scope="session")
def make_panel() -> PanelMaker:
    return random_panel


@pytest.fixture(scope="session")
def panel() -> pl.DataFrame:
    """130 days of 150 codes: more than one block of codes."""
    return random_panel(130, 150, seed=1)
