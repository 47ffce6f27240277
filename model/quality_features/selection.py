"""Which features the settings select, in the order of their columns, and their description.

Columns come in the order of the groups and, within a group, of the declarations; Alpha158 follows, then the features of
one's own modules, then those of the preset. Names are unique over all of them, switched on or not.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from model.errors import SettingsError
from model.quality_features.alpha158.features import features as alpha158_features
from model.quality_features.catalogue import (
    flow,
    low_frequency,
    margin,
    market,
    quality,
    range_volume,
    relative,
    returns,
    sector,
    short,
    statements,
    technical,
    trend,
    volatility,
)
from model.quality_features.language.columns import COLUMNS, MARKET_SERIES
from model.quality_features.language.feature import Feature, resolve
from model.quality_features.language.operators import OPERATORS, nearest
from model.quality_features.language.parse import parse
from model.quality_features.settings import CustomFeature, FeatureSettings

VALIDITY_WINDOWS = (5, 20, 60, 120, 252)
"""Windows with a flag ``valid_{w}d``: the share of days with a close reaches the settings' minimum."""

ALWAYS = ("ret_1d", "ret_20d", "ret_120d")
"""Computed whatever is selected: the correlation graph, the tensors and the scores that learn nothing read them."""

_KEYS = ("Date", "Code", "InUniverse")


def catalogue(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Every feature of the built-in catalogue, switched on or not, in the order of the columns."""
    return (
        *returns.FEATURES,
        *volatility.FEATURES,
        *trend.FEATURES,
        *range_volume.FEATURES,
        *technical.FEATURES,
        *low_frequency.FEATURES,
        *market.FEATURES,
        *relative.FEATURES,
        *sector.FEATURES,
        *quality.features(settings),
        *flow.FEATURES,
        *margin.FEATURES,
        *short.FEATURES,
        *statements.FEATURES,
    )


@lru_cache(maxsize=16)
def select(settings: FeatureSettings) -> tuple[Feature, ...]:
    """What the settings select, in the order of the columns.

    Raises:
        SettingsError: two features have one name, a formula cannot be read, or a module cannot be imported or holds no
            declarations.
    """
    known = catalogue(settings)
    on = settings.groups if settings.set != "alpha158" else ()
    chosen = [feature for feature in known if feature.group in on or feature.name in ALWAYS]
    qlib = alpha158_features()
    chosen += qlib if settings.set != "catalogue" else ()
    own = from_modules(settings.modules)
    taken = _taken((*known, *qlib))
    for feature in own:
        _take(taken, feature.name, f"a module of features.modules ({', '.join(settings.modules)})")
    custom = _custom(settings.custom, (*known, *qlib, *own), taken)
    return (*chosen, *own, *custom)


def from_modules(names: Sequence[str]) -> tuple[Feature, ...]:
    """The declarations of modules of one's own: the tuple ``FEATURES`` of each, in order.

    Raises:
        SettingsError: a module cannot be imported, or its FEATURES are not declarations. (What its code raises by
            itself passes through, with its traceback.)
    """
    found: list[Feature] = []
    for name in names:
        try:
            module = importlib.import_module(name)
        except (ImportError, SyntaxError) as problem:
            raise SettingsError(
                f"features.modules names {name!r}, which cannot be imported ({problem}). Write it as Python would "
                "import it (my_package.my_features), and put its folder on PYTHONPATH."
            ) from problem
        declared = getattr(module, "FEATURES", None)
        if not isinstance(declared, (tuple, list)) or not all(isinstance(each, Feature) for each in declared):
            raise SettingsError(
                f"features.modules names {name!r}, whose FEATURES is not a tuple of declarations. Import Feature from "
                'model.quality_features.language.feature and write FEATURES = (Feature("name", "custom", ...), ...).'
            )
        found += declared
    return tuple(found)


def _custom(declared: Sequence[CustomFeature], known: Iterable[Feature], taken: dict[str, str]) -> list[Feature]:
    """Features of the preset, each of which may name the features before it."""
    names = {feature.name: feature.expression for feature in known}
    features: list[Feature] = []
    for entry in declared:
        _take(taken, entry.name, "features.custom")
        expression = parse(entry.formula, names=names, feature=entry.name)
        features.append(Feature(entry.name, entry.group, expression, entry.nulls, entry.description))
        names[entry.name] = expression
    return features


def _taken(built_in: Iterable[Feature]) -> dict[str, str]:
    """Names that no feature of one's own may have, and what has each."""
    taken = dict.fromkeys((*_KEYS, *validity_names()), "a column of the feature table")
    taken |= dict.fromkeys((*COLUMNS, *MARKET_SERIES), "a column of the feature language")
    taken |= dict.fromkeys(OPERATORS, "an operator of the feature language")
    return taken | {feature.name: f"a feature of the group {feature.group}" for feature in built_in}


def _take(taken: dict[str, str], name: str, place: str) -> None:
    if name in taken:
        raise SettingsError(
            f"{place} declares a feature {name!r}, but {name!r} is {taken[name]} already. Choose another name."
        )
    taken[name] = f"a feature of {place}"


def feature_names(settings: FeatureSettings) -> tuple[str, ...]:
    """The feature columns, in order."""
    return tuple(feature.name for feature in select(settings))


def missing(names: Sequence[str], settings: FeatureSettings) -> tuple[list[str], list[str]]:
    """Those of some names that the settings do not select, and what to do about them."""
    selected = feature_names(settings)
    unknown = [name for name in names if name not in selected]
    declared = (*catalogue(settings), *alpha158_features())
    groups = {feature.name: feature.group for feature in declared if feature.name in unknown}
    qlib = {feature.group for feature in alpha158_features()}
    remedies = []
    if any((group in qlib) != (settings.set == "alpha158") for group in groups.values()):
        remedies.append("set features.set to both")
    off = [group for group in dict.fromkeys(groups.values()) if group not in {*qlib, *settings.groups}]
    if off:
        remedies.append(f"switch on {', '.join(off)} in features.groups")
    nowhere = [name for name in unknown if name not in groups]
    remedies += [f"there is no feature {name!r}.{nearest(name, [*selected])}".rstrip(".") for name in nowhere[:3]]
    return unknown, remedies


def validity_names() -> tuple[str, ...]:
    """The validity columns, in order."""
    return tuple(f"valid_{window}d" for window in VALIDITY_WINDOWS)


def describe(settings: FeatureSettings) -> list[dict[str, Any]]:
    """The selected features as plain JSON, in the order of the columns.

    ``inputs`` are columns of raw_dataset's tables. ``scope`` says what a feature varies over: ``market`` features have
    one value a day for all names. ``nulls`` is what a window needs: the minimum share of its days, or ``any`` value.
    """
    return [dict(entry) for entry in _described(settings)]


@lru_cache(maxsize=16)
def _described(settings: FeatureSettings) -> tuple[Mapping[str, Any], ...]:
    return tuple(_entry(feature, resolve(feature, settings.market_index)) for feature in select(settings))


def _entry(declared: Feature, written: Feature) -> dict[str, Any]:
    """One entry; the formula as it was declared, the rest with the market's return written out."""
    return {
        "name": declared.name,
        "group": declared.group,
        "formula": declared.formula,
        "description": declared.description,
        "lookback_days": written.lookback_days,
        "warm_up_days": written.warm_up_days,
        "inputs": list(written.inputs),
        "nulls": declared.nulls,
        "availability": written.availability,
        "scope": written.scope,
    }
