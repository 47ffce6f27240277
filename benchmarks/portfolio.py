"""Speed and memory of one simulated book: 5 million predictions, 2,000 names by 2,500 days.

``python -m benchmarks.portfolio [--quick] [--json OUT]``. The market is noise; the scores have a little skill.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model.metrics.ranked import Sorted
from model.portfolio.book import Simulation, simulate
from model.portfolio.market import Floats, Market, Rows, dense_market
from model.portfolio.settings import PortfolioBookSettings

HORIZON = 5
FULL = (2500, 2000)
QUICK = (250, 400)
CAPITAL = {"capital": 1e9}
BOOKS: dict[str, dict[str, Any]] = {
    "long_short": {},
    "long_only": {"book": "long_only", "top_k": 100},
    "sector_neutral": {"book": "sector_neutral"},
    "with_costs": {
        "costs": {"half_spread_bps": 5.0, "impact_coefficient": 1.0, "borrow_bps_per_year": 100.0},
        "execution": CAPITAL,
    },
    "constrained": {
        "costs": {"half_spread_bps": 5.0, "impact_coefficient": 1.0, "borrow_bps_per_year": 100.0},
        "execution": CAPITAL | {"exits": "constrained", "lot_size": 100, "max_participation": 0.05},
    },
}


def tables(days: int, names: int) -> tuple[pl.DataFrame, pl.DataFrame, list[date]]:
    """The market and the predictions of a simulated panel, as the stages store them."""
    rng = np.random.default_rng(0)
    shape = (days, names)
    returns = rng.normal(0.0002, 0.02, shape)
    calendar = [date(2010, 1, 4) + timedelta(n) for n in range(days)]
    codes = np.array([f"{code:04d}0" for code in range(names)])
    base = {
        "Date": np.repeat(np.array(calendar, dtype="datetime64[D]"), names),
        "Code": np.tile(codes, days),
    }
    market = pl.DataFrame(
        base
        | {
            "return_next": returns.ravel(),
            "entry_return_next": returns.ravel(),
            "can_buy_next": (rng.random(shape) < 0.995).ravel(),
            "can_sell_next": (rng.random(shape) < 0.995).ravel(),
            "Sector": np.tile(np.array([f"S{code % 33:02d}" for code in range(names)]), days),
            "turnover_20": rng.lognormal(19.0, 1.5, shape).ravel(),
            "price": rng.lognormal(7.0, 1.0, shape).ravel(),
        },
        schema_overrides={"Date": pl.Date},
    )
    predictions = pl.DataFrame(
        base | {"score": (0.02 * returns / 0.02 + rng.normal(size=shape)).ravel()}, schema_overrides={"Date": pl.Date}
    )
    return market, predictions, calendar


def run(quick: bool) -> dict[str, Any]:
    """Seconds of laying out the market and of each book; peak memory of the process in GiB."""
    days, names = QUICK if quick else FULL
    market, predictions, calendar = tables(days, names)
    figures: dict[str, Any] = {"days": days, "names": names, "predictions": days * names}
    dense, figures["market_s"] = timed(partial(dense_market, market, calendar))
    scores, figures["scores_s"] = timed(partial(_dense_scores, predictions, dense))
    _, figures["volatility_s"] = timed(lambda: dense.known_volatility)
    del market, predictions
    for name, more in BOOKS.items():
        settings = PortfolioBookSettings.model_validate(more)
        book, figures[f"{name}_s"] = timed(partial(_simulated, scores, dense, settings))
        figures[f"{name}_net_bps"] = round(float(book.net.mean()) * 1e4, 3)
    figures["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return figures


def _dense_scores(predictions: pl.DataFrame, market: Market) -> Floats:
    return Rows.on(predictions, market).floats("score")


def _simulated(scores: Floats, market: Market, settings: PortfolioBookSettings) -> Simulation:
    return simulate(Sorted.of(scores), market, settings, HORIZON)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the seconds it took."""
    start = time.perf_counter()
    found = work()
    return found, round(time.perf_counter() - start, 3)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small market")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures = run(options.quick)
    text = json.dumps(figures, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
