"""Returns of the stock itself over several horizons, and their overnight and intraday parts."""

import numpy as np

from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array


def _simple(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return stock.returns if days == 1 else stock.over(days)

    return Feature(f"ret_{days}d", "returns", f"C[t] / C[t-{days}] - 1", days + 1, ("AdjClose",), compute)


def _log(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return np.log1p(stock.over(days))

    return Feature(f"logret_{days}d", "returns", f"ln(C[t] / C[t-{days}])", days + 1, ("AdjClose",), compute)


def _overnight(stock: Stock) -> Array:
    return stock.open / stock.previous_close - 1.0


def _intraday(stock: Stock) -> Array:
    return stock.close / stock.open - 1.0


FEATURES: tuple[Feature[Stock], ...] = (
    *(_simple(days) for days in (1, 5, 10, 20, 60, 120)),
    *(_log(days) for days in (1, 5, 20)),
    Feature("ret_overnight", "returns", "O[t] / C[t-1] - 1", 2, ("AdjOpen", "AdjClose"), _overnight),
    Feature("ret_intraday", "returns", "C[t] / O[t] - 1", 1, ("AdjOpen", "AdjClose"), _intraday),
)
