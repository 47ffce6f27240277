"""The catalogue as a whole: which features the settings select, how far they reach back, and their description.

Columns come in the order of the groups and, within a group, of the declarations.
"""

from dataclasses import dataclass
from typing import Any

from model.errors import SettingsError
from model.quality_features.catalogue import (
    low_frequency,
    market,
    quality,
    range_volume,
    relative,
    returns,
    sector,
    technical,
    trend,
    volatility,
)
from model.quality_features.feature import CrossSection, Feature, Market, Scope, Stock
from model.quality_features.settings import GROUP_NAMES, FeatureSettings

MARKET: tuple[Feature[Market], ...] = market.FEATURES
STOCK: tuple[Feature[Stock], ...] = (
    *returns.FEATURES,
    *volatility.FEATURES,
    *trend.FEATURES,
    *range_volume.FEATURES,
    *technical.FEATURES,
    *low_frequency.FEATURES,
    *relative.FEATURES,
    *quality.STOCK,
)
CROSS_SECTION: tuple[Feature[CrossSection], ...] = (*sector.FEATURES, *quality.CROSS_SECTION)

VALIDITY_WINDOWS = (5, 20, 60, 120, 252)
"""Windows with a flag ``valid_{w}d``: the share of days with a close reaches the settings' minimum."""

ATFT13: tuple[str, ...] = (
    "ret_1d",
    "ret_5d",
    "ret_20d",
    "rsi_14",
    "macd_hist",
    "bollinger_b_20d",
    "natr_14",
    "obv_20d",
    "cci_20",
    "stoch_k_14",
    "volume_ratio_20d",
    "price_position_60d",
    "low_freq_ret_64d",
)
"""The 13 features of the ATFT selection."""


@dataclass(frozen=True)
class Selection:
    """The features to compute, by the view they read; ``names`` are the columns that are kept."""

    names: tuple[str, ...]
    market: tuple[Feature[Market], ...]
    stock: tuple[Feature[Stock], ...]
    cross_section: tuple[Feature[CrossSection], ...]


def select(settings: FeatureSettings) -> Selection:
    """What the settings select, with the inputs of its cross-sectional features (kept only if selected too)."""
    cross = tuple(feature for feature in CROSS_SECTION if feature.group in settings.groups)
    needed = {name for feature in cross for name in feature.inputs}
    stock = tuple(feature for feature in STOCK if feature.group in settings.groups or feature.name in needed)
    markets = tuple(feature for feature in MARKET if feature.group in settings.groups)
    features: tuple[Feature[Any], ...] = (*stock, *markets, *cross)
    kept = [
        (GROUP_NAMES.index(feature.group), feature.name) for feature in features if feature.group in settings.groups
    ]
    ordered = sorted(kept, key=lambda entry: entry[0])  # stable: declarations keep their order
    return Selection(tuple(name for _, name in ordered), markets, stock, cross)


def feature_names(settings: FeatureSettings) -> tuple[str, ...]:
    """The feature columns, in order."""
    return select(settings).names


def validity_names() -> tuple[str, ...]:
    """The validity columns, in order."""
    return tuple(f"valid_{window}d" for window in VALIDITY_WINDOWS)


def lookback(name: str) -> int:
    """Trading days that a feature reads, its own included.

    Raises:
        SettingsError: the catalogue has no such feature.
    """
    own_bars: tuple[Feature[Any], ...] = (*MARKET, *STOCK)
    for feature in own_bars:
        if feature.name == name:
            return feature.lookback
    for cross in CROSS_SECTION:
        if cross.name == name:
            return cross.lookback - 1 + max(lookback(source) for source in cross.inputs)
    raise SettingsError(f"The feature catalogue has no {name!r}. `catalogue.json` of quality_features lists the names.")


def max_lookback(settings: FeatureSettings) -> int:
    """Trading days that a row of the selected features and flags reads, its own included."""
    return max(*(lookback(name) for name in select(settings).names), *VALIDITY_WINDOWS)


def describe(settings: FeatureSettings) -> list[dict[str, Any]]:
    """The selected features as plain JSON, in the order of the columns.

    ``scope`` says what a feature varies over: ``market`` features have one value a day for all names.
    """
    chosen = select(settings)
    scopes: tuple[tuple[Scope, tuple[Feature[Any], ...]], ...] = (
        ("market", chosen.market),
        ("stock", chosen.stock),
        ("cross_section", chosen.cross_section),
    )
    entries = {
        feature.name: {
            "name": feature.name,
            "group": feature.group,
            "formula": feature.formula,
            "lookback_days": lookback(feature.name),
            "inputs": list(feature.inputs),
            "scope": scope,
        }
        for scope, features in scopes
        for feature in features
    }
    return [entries[name] for name in chosen.names]
