"""Short selling in the stock's sector as known at the close: the share of the sector's traded value sold short."""

from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import column, delta, mean, std

_RATIO = column("sector_short_ratio")

FEATURES: tuple[Feature, ...] = (
    Feature("short_ratio", "short", _RATIO),
    Feature("short_ratio_change_5d", "short", delta(_RATIO, 5)),
    Feature("short_ratio_z_60d", "short", (_RATIO - mean(_RATIO, 60)) / std(_RATIO, 60)),
)
