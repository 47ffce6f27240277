"""The feature engine: the panel in, exactly the feature rows of a date range out.

Three passes over dense arrays. The market is reduced from all codes; then blocks of codes, small enough for the
processor's cache and spread over threads, compute every stock feature; then the stored columns are compared across
the names of each day. A row's bits depend on the rows dated up to it and on nothing else: not on later days, on
other date ranges computed with it, on codes that appear later, or on the number of threads.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.quality_features import windows as w
from model.quality_features.cross_section import member_mean
from model.quality_features.dense import DensePanel, check_panel, densify
from model.quality_features.feature import CrossSection, Feature, Market, Stock
from model.quality_features.selection import (
    VALIDITY_WINDOWS,
    Selection,
    feature_names,
    max_lookback,
    select,
    validity_names,
)
from model.quality_features.settings import FeatureSettings
from model.quality_features.windows import Array

Columns = dict[str, NDArray[np.float32]]
Bars = Mapping[str, Array]

PRICES = ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose")
AMOUNTS = ("AdjVolume", "TurnoverValue")
PANEL_COLUMNS = ("Date", "Code", *PRICES, *AMOUNTS, "Sector", "InUniverse")
"""What the engine reads of the panel."""

_CODES_PER_BLOCK = 128


def compute_features(
    panel: pl.DataFrame, settings: FeatureSettings, first: date, last: date, *, threads: int = 2
) -> pl.DataFrame:
    """Features of every panel row dated ``first`` to ``last``, both included.

    Args:
        panel: rows of raw_dataset's panel sorted by (Date, Code), reaching back ``max_lookback(settings)`` trading
            days including ``first`` itself, or to the beginning of the data. Rows after ``last`` are not read.
        settings: groups and minimum shares.
        first: first date of the result.
        last: last date of the result.
        threads: blocks of codes computed at the same time; does not change a bit.

    Returns:
        Date, Code, InUniverse, the features (Float32, null where undefined), the validity flags (Boolean).

    Raises:
        DataError: the panel lacks a column or is not sorted and unique.
    """
    check_panel(panel, PANEL_COLUMNS)
    wanted = panel.filter(pl.col("Date").is_between(first, last)).height
    if not wanted:
        return _empty(settings)
    dense = densify(_reached(panel, max_lookback(settings), first, last))
    start = dense.position(first, "left")
    chosen = select(settings)
    with np.errstate(all="ignore"):
        columns, flags = _compute(dense, chosen, settings, start, threads)
    return _rows(dense, chosen.names, columns, flags, start)


def feature_schema(settings: FeatureSettings) -> pl.Schema:
    """Columns and types of the feature table."""
    columns: dict[str, pl.DataType] = {"Date": pl.Date(), "Code": pl.String(), "InUniverse": pl.Boolean()}
    columns |= {name: pl.Float32() for name in feature_names(settings)}
    columns |= {name: pl.Boolean() for name in validity_names()}
    return pl.Schema(columns)


def _empty(settings: FeatureSettings) -> pl.DataFrame:
    return pl.DataFrame(schema=feature_schema(settings))


def _reached(panel: pl.DataFrame, days: int, first: date, last: date) -> pl.DataFrame:
    """The rows up to ``last`` that rows from ``first`` on can depend on."""
    dates = panel["Date"].unique().sort()
    begin = max(int(np.searchsorted(dates.to_numpy(), np.datetime64(first))) - days + 1, 0)
    return panel.select(PANEL_COLUMNS).filter(pl.col("Date").is_between(dates[begin], last))


def _compute(
    dense: DensePanel, chosen: Selection, settings: FeatureSettings, start: int, threads: int
) -> tuple[Columns, dict[str, NDArray[np.bool_]]]:
    """Feature columns and validity flags ``[days from start, codes]``."""
    bars: dict[str, Array] = {name: dense.column(name) for name in (*PRICES, *AMOUNTS)}
    for name in PRICES:
        bars[name] = np.where(bars[name] > 0.0, bars[name], np.nan)
    member = dense.flag("InUniverse")
    close = bars["AdjClose"]
    market = Market(member_mean(close / w.lag(close, 1) - 1.0, member), settings.minimum_share)

    days, codes = dense.shape
    features: tuple[Feature[Any], ...] = (*chosen.stock, *chosen.market, *chosen.cross_section)
    columns: Columns = {feature.name: np.empty((days - start, codes), dtype=np.float32) for feature in features}
    flags = {name: np.empty((days - start, codes), dtype=np.bool_) for name in validity_names()}
    for feature in chosen.market:
        columns[feature.name][:] = _stored(feature.compute(market)[start:])

    def block(begin: int) -> None:
        _stock_block(bars, slice(begin, begin + _CODES_PER_BLOCK), market, chosen, start, columns, flags)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(block, range(0, codes, _CODES_PER_BLOCK)))  # list: an error in a block is raised here

    today = CrossSection(columns, member[start:], dense.category("Sector")[start:], settings)
    for cross in chosen.cross_section:
        columns[cross.name][:] = _stored(cross.compute(today))
    return columns, flags


def _stock_block(
    bars: Bars,
    codes: slice,
    market: Market,
    chosen: Selection,
    start: int,
    columns: Columns,
    flags: dict[str, NDArray[np.bool_]],
) -> None:
    """Every stock feature and flag of a block of codes, written into the columns."""
    part = {name: np.ascontiguousarray(grid[:, codes]) for name, grid in bars.items()}
    stock = Stock(
        open=part["AdjOpen"],
        high=part["AdjHigh"],
        low=part["AdjLow"],
        close=part["AdjClose"],
        volume=part["AdjVolume"],
        turnover=part["TurnoverValue"],
        market=market,
        minimum_share=market.minimum_share,
    )
    with np.errstate(all="ignore"):  # the setting belongs to a thread
        for feature in chosen.stock:
            columns[feature.name][:, codes] = _stored(feature.compute(stock)[start:])
        closes = w.counts(~np.isnan(stock.close), VALIDITY_WINDOWS)
    for window, name in zip(VALIDITY_WINDOWS, validity_names(), strict=True):
        flags[name][:, codes] = closes[window][start:] >= stock.need(window)


def _stored(values: Array) -> NDArray[np.float32]:
    """Float32, NaN for whatever is not a finite number in it."""
    narrow = values.astype(np.float32)
    narrow[~np.isfinite(narrow)] = np.nan
    return narrow


def _rows(
    dense: DensePanel,
    names: tuple[str, ...],
    columns: Columns,
    flags: dict[str, NDArray[np.bool_]],
    start: int,
) -> pl.DataFrame:
    """The grid back as rows of the panel; each column is freed as soon as it is gathered."""
    kept = dense.row_day >= start
    day, code = dense.row_day[kept] - start, dense.row_code[kept]
    result = dense.rows.filter(pl.Series(kept)).select("Date", "Code", pl.col("InUniverse").fill_null(False))
    gathered = [pl.Series(name, columns.pop(name)[day, code], nan_to_null=True) for name in names]
    gathered += [pl.Series(name, flags.pop(name)[day, code]) for name in validity_names()]
    return result.with_columns(gathered)
