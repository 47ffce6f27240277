"""Market-wide features are made of few values a day, and from these alone they have the same bits."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from model.quality_features.engine import compute_features, compute_market, feature_plan, market_plan, reduced
from model.quality_features.language.expression import text
from model.quality_features.language.feature import Feature
from model.quality_features.language.parse import parse
from model.quality_features.language.reductions import over_reductions, reductions
from model.quality_features.selection import select
from model.quality_features.settings import GROUP_NAMES, CustomFeature, FeatureSettings
from model.store.hashing import table_hash

PanelMaker = Callable[..., pl.DataFrame]
OWN = CustomFeature(
    name="breadth_trend", group="market", formula="mean(market_mean(close > mean(close, 5)), 10)", nulls="any"
)
SETTINGS = FeatureSettings(groups=GROUP_NAMES, minimum_sector_names=1, custom=(OWN,))
MARKET = [feature.name for feature in select(SETTINGS) if feature.scope == "market" and "flow" not in feature.name]


def declared(formula: str, nulls: str = "share") -> Feature:
    return Feature("x", "market", parse(formula, feature="x"), "any" if nulls == "any" else "share")


def names(*features: Feature, index: str | None = None) -> list[str]:
    return [each.name for each in reductions(features, index)]


def test_equal_reductions_are_one_and_null_policies_are_kept_apart() -> None:
    mean, twice = declared("mean(market_mean(volume), 5)"), declared("market_mean(volume) / market_std(volume)")
    assert names(mean, twice) == ["market_mean(volume)", "market_std(volume)"]
    assert names(mean, declared("market_mean(mean(volume, 9))", "any")) == [
        "market_mean(volume)",
        "market_mean(mean(volume, 9)), any",
    ]


def test_of_nested_reductions_the_outermost_is_stored() -> None:
    nested = declared("market_mean(close / market_mean(close)) + market_mean(close)")
    assert names(nested) == ["market_mean(close / market_mean(close))", "market_mean(close)"]
    assert text(over_reductions(nested, None).expression) == text(nested.expression)


def test_only_market_wide_features_have_any_and_an_index_needs_none() -> None:
    assert names(declared("close / market_mean(close)")) == []
    assert names(declared("mean(market_return, 5)")) == ["market_mean(ret(close, 1))"]
    assert names(declared("mean(market_return, 5)"), index="TOPIX") == []


@pytest.mark.parametrize("seed", range(3))
def test_features_over_reductions_have_the_bits_of_features_over_the_panel(make_panel: PanelMaker, seed: int) -> None:
    panel = make_panel(420, 7, seed=seed, missing=0.2)
    days = panel["Date"].unique().sort().to_list()
    rng = np.random.Generator(np.random.PCG64(seed))
    first, last = days[int(rng.integers(0, 380))], days[419]
    exact = [each.name for each in reduced(SETTINGS)]
    values = compute_features(panel, SETTINGS, days[0], last, names=exact).unique("Date", keep="first").sort("Date")
    assert values.select(exact).dtypes == [pl.Float64] * len(exact) and len(exact) >= 3
    found = compute_market(days, values.drop("Code"), SETTINGS, first, last, MARKET)
    expected = compute_features(panel, SETTINGS, first, last, names=MARKET).unique("Date", keep="first").sort("Date")
    for name in MARKET:
        assert table_hash(found.select("Date", name)) == table_hash(expected.select("Date", name)), name
    assert not market_plan(SETTINGS, tuple(MARKET)).across_names and feature_plan(SETTINGS, tuple(MARKET)).across_names
