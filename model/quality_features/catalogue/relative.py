"""The stock against the equal-weight market."""

from functools import partial

from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array

_INPUTS = ("AdjClose", "InUniverse")


def _beta(stock: Stock) -> Array:
    return stock.joint_moments.slope(stock.need(60))


def _idiosyncratic_share(stock: Stock) -> Array:
    return 1.0 - stock.joint_moments.determination(stock.need(60))


def _strength(days: int, stock: Stock) -> Array:
    return (1.0 + stock.over(days)) / (1.0 + stock.market.compound(days)) - 1.0


def _excess(days: int, stock: Stock) -> Array:
    return stock.over(days) - stock.market.compound(days)


FEATURES: tuple[Feature[Stock], ...] = (
    Feature("beta_60d", "relative", "least-squares slope of r on the market's r over 60 days", 61, _INPUTS, _beta),
    Feature(
        "idio_vol_share_60d",
        "relative",
        "1 - squared correlation of r with the market's r over 60 days",
        61,
        _INPUTS,
        _idiosyncratic_share,
    ),
    *(
        Feature(
            f"rel_strength_{days}d",
            "relative",
            f"(1 + ret_{days}d) / (1 + mkt_ret_{days}d) - 1",
            days + 1,
            _INPUTS,
            partial(_strength, days),
        )
        for days in (20, 60)
    ),
    *(
        Feature(
            f"excess_ret_{days}d",
            "relative",
            f"ret_{days}d - mkt_ret_{days}d",
            days + 1,
            _INPUTS,
            partial(_excess, days),
        )
        for days in (1, 5)
    ),
)
