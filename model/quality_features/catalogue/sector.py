"""The stock against its sector; null where the source knows no sectors.

A sector's mean runs over its universe members of that day.
"""

from functools import partial

from model.quality_features.feature import CrossSection, Feature
from model.quality_features.windows import Array


def _mean(source: str, day: CrossSection) -> Array:
    return day.sector_mean(source)


def _difference(source: str, day: CrossSection) -> Array:
    return day[source] - day.sector_mean(source)


FEATURES: tuple[Feature[CrossSection], ...] = (
    *(
        Feature(
            f"sector_ret_{days}d",
            "sector",
            f"mean of ret_{days}d over the sector's universe members",
            1,
            (f"ret_{days}d",),
            partial(_mean, f"ret_{days}d"),
        )
        for days in (1, 5, 20)
    ),
    *(
        Feature(
            f"ret_{days}d_vs_sector",
            "sector",
            f"ret_{days}d - sector_ret_{days}d",
            1,
            (f"ret_{days}d",),
            partial(_difference, f"ret_{days}d"),
        )
        for days in (1, 5, 20)
    ),
)
