"""The stock against the market (see the market group for what that is)."""

from model.quality_features.catalogue.market import compound
from model.quality_features.catalogue.volatility import ANNUAL
from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import (
    close,
    determination,
    given,
    market_return,
    mean,
    ret,
    slope,
    sqrt,
    std,
)

_RETURN = ret(close, 1)
_PAIRED = given(_RETURN, market_return)
_BETA = slope(_RETURN, market_return, 60)
_UNEXPLAINED = 1 - determination(_RETURN, market_return, 60)


def _strength(days: int) -> Expression:
    return (1 + ret(close, days)) / (1 + compound(days)) - 1


FEATURES: tuple[Feature, ...] = (
    Feature("beta_60d", "relative", _BETA),
    Feature(
        "alpha_60d",
        "relative",
        252 * (mean(_PAIRED, 60) - _BETA * mean(given(market_return, _RETURN), 60)),
        description="Intercept of the regression on the market, a year.",
    ),
    Feature("beta_stability_60d", "relative", std(_BETA, 60), description="How far beta itself moved; low is stable."),
    Feature(
        "idio_vol_share_60d", "relative", _UNEXPLAINED, description="Share of the variance that the market leaves."
    ),
    Feature("idio_vol_60d", "relative", ANNUAL * std(_PAIRED, 60) * sqrt(_UNEXPLAINED)),
    *(Feature(f"rel_strength_{days}d", "relative", _strength(days)) for days in (20, 60)),
    *(Feature(f"excess_ret_{days}d", "relative", ret(close, days) - compound(days)) for days in (1, 5, 20)),
)
