"""The feature engine: the settings' features for exactly the rows of a date range.

What the settings select is compiled once into a plan (see :mod:`model.quality_features.language.plan`) and run over the
panel. A row's bits depend on the rows dated up to it and on nothing else: not on later days, on other date ranges or
columns computed with it, on codes that appear later, or on the number of threads.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from functools import lru_cache

import polars as pl

from model.errors import SettingsError
from model.quality_features.language.columns import COLUMNS, MEMBER, SECTOR
from model.quality_features.language.operators import nearest
from model.quality_features.language.plan import Options, Plan, compile_plan
from model.quality_features.selection import VALIDITY_WINDOWS, feature_names, select, validity_names
from model.quality_features.settings import FeatureSettings
from model.quality_features.table import compute_table

PRICES = ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose")
AMOUNTS = ("AdjVolume", "TurnoverValue")
PANEL_COLUMNS = ("Date", "Code", *PRICES, *AMOUNTS, SECTOR, MEMBER)
"""What the built-in features read of the panel; see :func:`source_columns` for what given settings read."""


def compute_features(
    panel: pl.DataFrame,
    settings: FeatureSettings,
    first: date,
    last: date,
    *,
    names: Sequence[str] | None = None,
    codes: Collection[str] | None = None,
    threads: int = 2,
    market: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Features of every panel row dated ``first`` to ``last``, both included.

    Args:
        panel: rows of raw_dataset's panel sorted by (Date, Code), with the columns of its slow table beside where
            features read them, reaching back ``max_lookback(settings, names)`` trading days including ``first``
            itself, or to the beginning of the data. Its distinct dates are the trading days. Rows after ``last`` are
            not read; slow columns that it lacks are missing throughout.
        settings: what is selected, and the minimum shares.
        first: first date of the result.
        last: last date of the result.
        names: only these features and validity flags, in this order; None for all, in the order of the catalogue.
        codes: only these codes' rows; comparisons across names still see all the panel's.
        threads: blocks of codes or days computed at the same time; does not change a bit.
        market: raw_dataset's market table (Date and its columns, sorted by Date); None: missing throughout.

    Returns:
        Date, Code, InUniverse, the features (Float32, null where undefined), the validity flags (Boolean).

    Raises:
        DataError: the panel lacks a column or is not sorted and unique.
        SettingsError: a name is not among the columns that the settings select.
    """
    plan = feature_plan(settings, None if names is None else tuple(names))
    frame = compute_table(panel, plan, first, last, codes=codes, threads=threads, market=market)
    return frame if names is None else frame.select("Date", "Code", MEMBER, *names)


def feature_plan(settings: FeatureSettings, names: tuple[str, ...] | None = None) -> Plan:
    """The compiled plan of the selected features and validity flags, or of some of them.

    Raises:
        SettingsError: a name is not among the columns that the settings select.
    """
    return _plan(settings, None if names is None else tuple(sorted(set(names))))


@lru_cache(maxsize=64)
def _plan(settings: FeatureSettings, names: tuple[str, ...] | None) -> Plan:
    features = select(settings)
    flags = dict(zip(validity_names(), VALIDITY_WINDOWS, strict=True))
    if names is not None:
        known = [feature.name for feature in features] + list(flags)
        for name in names:
            if name not in known:
                raise SettingsError(f"The settings select no feature {name!r}.{nearest(name, known)}")
        features = tuple(feature for feature in features if feature.name in names)
        flags = {name: days for name, days in flags.items() if name in names}
    options = Options(settings.minimum_share, settings.minimum_sector_names, settings.market_index)
    return compile_plan(features, options, flags)


def max_lookback(settings: FeatureSettings, names: Iterable[str] | None = None) -> int:
    """Trading days that a row reads, its own included; of some of the columns only where ``names`` are given."""
    return feature_plan(settings, None if names is None else tuple(names)).lookback_days


def source_columns(settings: FeatureSettings, names: Iterable[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Columns that are read of raw_dataset's tables ``panel``, ``slow`` and ``market``, beside their keys."""
    plan = feature_plan(settings, None if names is None else tuple(names))
    read: dict[str, list[str]] = {"panel": [], "slow": [], "market": []}
    for name, spec in COLUMNS.items():
        if name in plan.columns:
            read[spec.table].append(spec.source)
    read["panel"] += [MEMBER, *([SECTOR] if plan.by_sector else [])]
    return {table: tuple(columns) for table, columns in read.items()}


def feature_schema(settings: FeatureSettings) -> pl.Schema:
    """Columns and types of the feature table."""
    columns: dict[str, pl.DataType] = {"Date": pl.Date(), "Code": pl.String(), MEMBER: pl.Boolean()}
    columns |= {name: pl.Float32() for name in feature_names(settings)}
    columns |= {name: pl.Boolean() for name in validity_names()}
    return pl.Schema(columns)
