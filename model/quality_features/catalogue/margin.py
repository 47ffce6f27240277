"""Balances of margin trading as known at the close, in adjusted shares, so that a split moves none of them.

Days to cover are the balance over the mean volume of 20 days.
"""

from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import column, log, mean, volume

_LONG, _SHORT = column("margin_long"), column("margin_short")
_LONG_BEFORE, _SHORT_BEFORE = column("margin_long_before"), column("margin_short_before")
_DAILY = mean(volume, 20)

FEATURES: tuple[Feature, ...] = (
    Feature(
        "margin_credit_ratio", "margin", log(_LONG / _SHORT), description="ln of long over short; null without shorts."
    ),
    Feature(
        "margin_imbalance",
        "margin",
        (_LONG - _SHORT) / (_LONG + _SHORT),
        description="From -1 (only shorts) to 1 (only longs).",
    ),
    Feature("margin_long_change", "margin", _LONG / _LONG_BEFORE - 1, description="Against the record before."),
    Feature("margin_short_change", "margin", _SHORT / _SHORT_BEFORE - 1, description="Against the record before."),
    Feature("margin_long_days", "margin", _LONG / _DAILY, description="Days of trading in the longs."),
    Feature("margin_short_days", "margin", _SHORT / _DAILY, description="Days to cover the shorts."),
    Feature(
        "days_since_margin", "margin", column("days_since_margin"), description="Trading days since the record counts."
    ),
)
