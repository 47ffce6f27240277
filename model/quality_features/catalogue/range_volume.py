"""The day's range, volume against its past, and traded value.

The turnover rate needs the number of shares and stands with the statements.
"""

from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import close, high, log, low, mean, positive, std, turnover, volume

FEATURES: tuple[Feature, ...] = (
    Feature("range_1d", "range_volume", high / low - 1),
    Feature("range_20d", "range_volume", mean(high / low - 1, 20)),
    Feature(
        "close_from_high",
        "range_volume",
        (high - close) / (high - low),
        description="0 where the day closed at its high, 1 at its low; missing without a range.",
    ),
    *(Feature(f"volume_ratio_{days}d", "range_volume", volume / mean(volume, days)) for days in (5, 20)),
    Feature("volume_z_20d", "range_volume", (volume - mean(volume, 20)) / std(volume, 20)),
    Feature("turnover_ratio_5_20d", "range_volume", mean(turnover, 5) / mean(turnover, 20)),
    Feature(
        "log_turnover_1d",
        "range_volume",
        log(positive(turnover)),
        description="ln of the traded value in the currency of the quotes; missing on a day without trades.",
    ),
    Feature("log_turnover_20d", "range_volume", log(positive(mean(turnover, 20)))),
)
