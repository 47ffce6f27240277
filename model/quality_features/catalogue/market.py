"""The market: one value a day, the same for every name.

``market_return`` is the 1-day return of ``features.market_index`` where that names an index, else the equal-weight mean
over the universe's members. Longer returns are compounded from ``market_move``, which leaves nothing out where a day
has no price at all, so both cases have the same definitions.

There is no level of the market to average (it would depend on its first day), but its log level minus the EMA of the
log level over a span is (span - 1)/2 times the EMA of the log returns: that is how the EMA ratio and gaps are written.
"""

from model.quality_features.catalogue.volatility import ANNUAL
from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import (
    close,
    drawdown,
    ema,
    expm1,
    log1p,
    market_mean,
    market_move,
    market_return,
    mean,
    positive,
    ret,
    std,
)
from model.quality_features.language.operators import sum as total

_LOG_RETURN = log1p(market_move)


def compound(days: int) -> Expression:
    """The market's return over several days."""
    return market_return if days == 1 else expm1(total(_LOG_RETURN, days))


def _above_ema(span: int) -> Expression:
    """Log level of the market minus its exponential mean."""
    return (span - 1) / 2 * ema(_LOG_RETURN, span)


def _z(x: Expression) -> Expression:
    return (x - mean(x, 252)) / positive(std(x, 252))


_VOLATILITY = ANNUAL * std(market_return, 20)

FEATURES: tuple[Feature, ...] = (
    *(Feature(f"mkt_ret_{days}d", "market", compound(days)) for days in (1, 5, 10, 20, 60)),
    Feature("mkt_vol_20d", "market", _VOLATILITY),
    Feature("mkt_vol_60d", "market", ANNUAL * std(market_return, 60)),
    Feature("mkt_ema_ratio_60d", "market", _above_ema(60), description="ln of the market less the EMA of its ln."),
    Feature(
        "mkt_ema_gap_5_20d",
        "market",
        _above_ema(20) - _above_ema(5),
        description="EMA 5 less EMA 20, of the ln of the market.",
    ),
    Feature(
        "mkt_ema_gap_20_60d",
        "market",
        _above_ema(60) - _above_ema(20),
        description="EMA 20 less EMA 60, of the ln of the market.",
    ),
    Feature(
        "mkt_drawdown_252d",
        "market",
        expm1(drawdown(_LOG_RETURN, 252)),
        description="Market level over its highest level of the window, minus 1.",
    ),
    Feature("mkt_trend_60d", "market", compound(60) > 0, description="1 where the market rose, else 0."),
    Feature(
        "mkt_high_vol",
        "market",
        _z(_VOLATILITY) > 1,
        description="1 where volatility is a standard deviation above its mean of the last year, else 0.",
    ),
    Feature("mkt_ret_20d_z_252d", "market", _z(compound(20))),
    Feature("mkt_vol_20d_z_252d", "market", _z(_VOLATILITY)),
    Feature(
        "mkt_advancers_1d", "market", market_mean(ret(close, 1) > 0), description="Share of the members that rose."
    ),
)
