"""Volatility from closes and from ranges, annualised with √252, and Amihud's illiquidity.

Sources: Parkinson (1980), Rogers and Satchell (1991), Yang and Zhang (2000), Amihud (2002).
"""

from model.quality_features.language.expression import Expression, as_expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import abs as magnitude
from model.quality_features.language.operators import (
    close,
    high,
    lag,
    log,
    low,
    mean,
    positive,
    ret,
    sqrt,
    square,
    std,
    turnover,
)
from model.quality_features.language.operators import open as opening

ANNUAL = sqrt(252)
"""Scales a daily standard deviation to a year of 252 trading days."""

_RETURN = ret(close, 1)
_ROGERS_SATCHELL = log(high / close) * log(high / opening) + log(low / close) * log(low / opening)


def volatility(days: int) -> Expression:
    """Annualised standard deviation of the 1-day returns."""
    return ANNUAL * std(_RETURN, days)


def _parkinson(days: int) -> Expression:
    return ANNUAL * sqrt(mean(square(log(high / low)), days) / (4 * log(2)))


def _yang_zhang(days: int) -> Expression:
    weight = 0.34 / (1.34 + as_expression(days + 1) / (days - 1))
    overnight, open_to_close = std(log(opening / lag(close, 1)), days), std(log(close / opening), days)
    drift_free = mean(_ROGERS_SATCHELL, days)
    return ANNUAL * sqrt(square(overnight) + weight * square(open_to_close) + (1 - weight) * drift_free)


FEATURES: tuple[Feature, ...] = (
    *(Feature(f"vol_{days}d", "volatility", volatility(days)) for days in (5, 10, 20, 60)),
    *(Feature(f"parkinson_{days}d", "volatility", _parkinson(days)) for days in (20, 60)),
    *(
        Feature(f"rogers_satchell_{days}d", "volatility", ANNUAL * sqrt(mean(_ROGERS_SATCHELL, days)))
        for days in (20, 60)
    ),
    *(Feature(f"yang_zhang_{days}d", "volatility", _yang_zhang(days)) for days in (20, 60)),
    Feature("vol_of_vol_20d", "volatility", std(volatility(5), 20)),
    Feature(
        "amihud_20d",
        "volatility",
        log(mean(magnitude(_RETURN) / positive(turnover), 20)),
        description="Illiquidity: ln of the mean absolute return per traded value; days without trade are skipped.",
    ),
)
