"""The stock's sector, and the stock against it; null where the source knows no sectors.

A sector's mean, median and spread run over its universe members of the day; a day on which a sector has fewer than
``features.minimum_sector_names`` of them has none.
"""

from model.quality_features.catalogue.market import compound
from model.quality_features.catalogue.volatility import ANNUAL
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import (
    close,
    ret,
    sector_count,
    sector_mean,
    sector_median,
    sector_rank,
    sector_zscore,
    std,
)

_DAYS = (1, 5, 20)

FEATURES: tuple[Feature, ...] = (
    *(Feature(f"sector_ret_{days}d", "sector", sector_mean(ret(close, days))) for days in _DAYS),
    *(Feature(f"sector_median_ret_{days}d", "sector", sector_median(ret(close, days))) for days in _DAYS),
    Feature("sector_momentum_60d", "sector", sector_mean(ret(close, 60))),
    Feature("sector_vs_market_20d", "sector", sector_mean(ret(close, 20)) - compound(20)),
    Feature(
        "sector_vol_20d",
        "sector",
        ANNUAL * std(sector_mean(ret(close, 1)), 20),
        description="Volatility of the mean return of the sector that the name was in on each day.",
    ),
    Feature("sector_members", "sector", sector_count(ret(close, 1)), description="Universe members of the sector."),
    *(Feature(f"ret_{days}d_vs_sector", "sector", ret(close, days) - sector_mean(ret(close, days))) for days in _DAYS),
    *(Feature(f"ret_{days}d_sector_z", "sector", sector_zscore(ret(close, days))) for days in _DAYS),
    Feature("ret_20d_sector_rank", "sector", sector_rank(ret(close, 20))),
)
