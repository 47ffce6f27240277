"""Small markets for the tests of the portfolio room."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from model.metrics.ranked import Sorted
from model.portfolio import book
from model.portfolio.market import Market, dense_market
from model.portfolio.settings import PortfolioBookSettings


def trading_days(count: int, first: date = date(2019, 1, 7)) -> list[date]:
    """Weekdays from ``first`` on."""
    days = [first + timedelta(n) for n in range(2 * count + 10)]
    return [day for day in days if day.weekday() < 5][:count]


def market_frame(returns: np.ndarray, **columns: np.ndarray) -> pl.DataFrame:
    """returns: [days, names], NaN where missing; other columns in the same shape, can_buy and can_sell by default true,
    entry by default ``returns``."""
    days, names = returns.shape
    free = np.ones(returns.shape, dtype=bool)
    given = {
        "return_next": returns,
        "entry_return_next": columns.pop("entry", returns),
        "can_buy_next": columns.pop("can_buy", free),
        "can_sell_next": columns.pop("can_sell", free),
        **columns,
    }
    frame = pl.DataFrame(
        {
            "Date": np.repeat(np.array(trading_days(days), dtype="datetime64[D]"), names),
            "Code": [f"{code:04d}0" for code in range(names)] * days,
            **{name: np.broadcast_to(values, returns.shape).ravel() for name, values in given.items()},
        },
        schema_overrides={"Date": pl.Date},
    )
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def market_of(returns: object, *, test: list[date] | None = None, suspended: str = "flat", **columns: object) -> Market:
    """The dense market of arrays or nested lists."""
    grid = np.array(returns, dtype=float)
    frame = market_frame(grid, **{name: np.array(values) for name, values in columns.items()})
    return dense_market(frame, test or trading_days(len(grid)), suspended)  # type: ignore[arg-type]


def simulate(
    scores: np.ndarray, market: Market, settings: PortfolioBookSettings, horizon: int, keep_positions: bool = False
) -> book.Simulation:
    """The portfolio of scores as an array, [days, names], NaN where there is none."""
    return book.simulate(Sorted.of(scores), market, settings, horizon, keep_positions)
