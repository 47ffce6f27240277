"""Moving averages of the close: price over each, gaps between them, and slopes.

Every column is a ratio. The level of an average is in the currency unit of one adjusted price series: it differs from
name to name by the size of the share, and under forward adjustment by the splits of its past, so it means nothing
across the names of a day. Price over average holds the same information without the unit.

An EMA is normalised over a finite memory (see ``ema`` in the table of operators); what is older has no influence at
all, not even on the last bit.
"""

from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import close, ema, high, lag, larger, low, mean, smaller, wilder

TRUE_RANGE = larger(high, lag(close, 1)) - smaller(low, lag(close, 1))
"""The day's range, the gap from yesterday's close included."""
AVERAGE_TRUE_RANGE = wilder(TRUE_RANGE, 14)


def _gap(short: Expression, long: Expression) -> Expression:
    return short / long - 1


FEATURES: tuple[Feature, ...] = (
    *(Feature(f"sma_ratio_{days}d", "trend", close / mean(close, days) - 1) for days in (5, 10, 20, 60, 120)),
    *(Feature(f"ema_ratio_{span}d", "trend", close / ema(close, span) - 1) for span in (5, 10, 20, 60, 200)),
    *(
        Feature(f"sma_gap_{short}_{long}d", "trend", _gap(mean(close, short), mean(close, long)))
        for short, long in ((5, 20), (20, 60))
    ),
    *(
        Feature(f"ema_gap_{short}_{long}d", "trend", _gap(ema(close, short), ema(close, long)))
        for short, long in ((5, 20), (20, 60))
    ),
    *(
        Feature(f"sma_slope_{days}d", "trend", _gap(mean(close, days), lag(mean(close, days), 5)))
        for days in (20, 60, 120)
    ),
    *(Feature(f"ema_slope_{span}d", "trend", _gap(ema(close, span), lag(ema(close, span), 5))) for span in (20, 60)),
    Feature(
        "ema_distance_200d",
        "trend",
        (close - ema(close, 200)) / AVERAGE_TRUE_RANGE,
        description="Distance to the EMA of 200 days, in average true ranges.",
    ),
)
