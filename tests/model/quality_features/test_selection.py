"""What the settings select, features of one's own, and what is said about each column."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from model.errors import SettingsError
from model.quality_features.atft13 import ATFT13
from model.quality_features.column_lineage import column_lineage
from model.quality_features.engine import compute_features, feature_plan, feature_schema
from model.quality_features.language.parse import parse
from model.quality_features.selection import (
    ALWAYS,
    VALIDITY_WINDOWS,
    catalogue,
    describe,
    feature_names,
    select,
    validity_names,
)
from model.quality_features.settings import BAR_GROUPS, GROUP_NAMES, SLOW_GROUPS, FeatureSettings
from model.settings import presets

DEFAULT = FeatureSettings()
EVERYTHING = FeatureSettings(groups=GROUP_NAMES)


def own(*declared: dict[str, str], **more: object) -> FeatureSettings:
    return FeatureSettings.model_validate({"custom": declared, **more})


def entry(settings: FeatureSettings, name: str) -> dict[str, object]:
    [found] = [each for each in describe(settings) if each["name"] == name]
    return found


def test_the_catalogue_has_all_its_groups_and_the_bars_alone_by_default() -> None:
    assert {feature.group for feature in select(EVERYTHING)} == set(GROUP_NAMES)
    assert {feature.group for feature in select(DEFAULT)} == set(BAR_GROUPS) == set(GROUP_NAMES) - set(SLOW_GROUPS)
    assert 140 <= len(select(EVERYTHING)) <= 170
    assert len(set(feature_names(EVERYTHING))) == len(feature_names(EVERYTHING))
    assert set(ATFT13) <= set(feature_names(DEFAULT)) and len(ATFT13) == 13


def test_columns_come_in_the_order_of_the_groups_whatever_the_order_of_the_setting() -> None:
    some = FeatureSettings(groups=("sector", "returns"))
    assert some.groups == ("returns", "sector")
    names = feature_names(some)
    assert names == tuple(name for name in feature_names(EVERYTHING) if name in names)


def test_the_daily_return_is_always_there() -> None:
    assert feature_names(FeatureSettings(groups=("short",)))[0] == "ret_1d"
    assert feature_names(FeatureSettings(set="alpha158"))[0] == "ret_1d"


def test_alpha158_replaces_the_catalogue_or_joins_it() -> None:
    alone, both = (FeatureSettings(set=name) for name in ("alpha158", "both"))  # type: ignore[arg-type]
    assert len(select(alone)) == len(ALWAYS) + 158
    assert feature_names(both) == feature_names(DEFAULT) + feature_names(alone)[len(ALWAYS) :]
    assert entry(alone, "KMID")["nulls"] == "any"


def test_an_entry_says_everything_about_a_feature() -> None:
    assert entry(DEFAULT, "sector_vol_20d") == {
        "name": "sector_vol_20d",
        "group": "sector",
        "formula": "sqrt(252) * std(sector_mean(ret(close, 1)), 20)",
        "description": "Volatility of the mean return of the sector that the name was in on each day.",
        "lookback_days": 21,
        "warm_up_days": 20,
        "inputs": ["AdjClose", "InUniverse", "Sector"],
        "nulls": "share",
        "availability": "from the close of the day",
        "scope": "cross_section",
    }
    assert entry(DEFAULT, "mkt_vol_20d")["scope"] == "market"
    assert entry(DEFAULT, "flag_high_vol")["formula"] == "at_least(rank(sqrt(252) * std(ret(close, 1), 20)), 0.8)"
    other = FeatureSettings(high_volatility_quantile=0.9)
    assert str(entry(other, "flag_high_vol")["formula"]).endswith("0.9)")
    assert "statement" in str(entry(EVERYTHING, "sales_yoy")["availability"])


def test_every_formula_reads_back_as_the_feature() -> None:
    for feature in (*catalogue(DEFAULT), *select(FeatureSettings(set="alpha158"))):
        assert parse(feature.formula) == feature.expression, feature.name


def test_an_index_stands_for_the_market_where_one_is_named() -> None:
    indexed = FeatureSettings(market_index="TOPIX")
    assert entry(DEFAULT, "mkt_ret_20d")["inputs"] == ["AdjClose", "InUniverse"]
    assert entry(indexed, "mkt_ret_20d")["inputs"] == ["IndexClose"]
    assert entry(indexed, "beta_60d")["inputs"] == ["AdjClose", "IndexClose"]
    assert entry(indexed, "mkt_ret_20d")["formula"] == entry(DEFAULT, "mkt_ret_20d")["formula"]


def test_lookbacks_count_the_days_that_are_read() -> None:
    for name, days in (("ret_20d", 21), ("beta_stability_60d", 120), ("valid_252d", 252)):
        assert feature_plan(DEFAULT, (name,)).lookback_days == days
    assert feature_plan(DEFAULT).lookback_days == max(each["lookback_days"] for each in describe(DEFAULT))
    assert feature_plan(FeatureSettings(groups=("returns",))).lookback_days == max(VALIDITY_WINDOWS)
    assert feature_plan(DEFAULT, ("ret_1d", "rsi_14")).lookback_days == 129
    with pytest.raises(SettingsError, match=r"'ret_7d'.*nearest is 'ret_\dd'"):
        feature_plan(DEFAULT, ("ret_7d",))


def test_lineage_leads_every_column_to_tables_of_raw_dataset() -> None:
    settings = own({"name": "cheap", "formula": "rank(book_to_price)"}, groups=GROUP_NAMES)
    lineage = column_lineage(settings)
    assert set(lineage) == set(feature_schema(settings))
    assert lineage["ret_1d"] == [("raw_dataset", "panel", "AdjClose")]
    assert lineage["flow_foreign_ratio"] == [
        ("raw_dataset", "market", "ForeignNet"),
        ("raw_dataset", "market", "FlowTotal"),
    ]
    assert ("raw_dataset", "slow", "Equity") in lineage["cheap"]
    assert ("raw_dataset", "panel", "InUniverse") in lineage["cheap"]
    assert lineage["valid_20d"] == [("raw_dataset", "panel", "AdjClose")]
    assert all(lineage.values())


def test_custom_features_name_columns_features_and_each_other(make_panel: object) -> None:
    settings = own(
        {"name": "momentum", "formula": "ret_60d - ret_5d"},
        {"name": "momentum_rank", "formula": "rank(momentum)", "group": "ideas", "description": "Who rises."},
        {"name": "body", "formula": "mean(KMID, 5)", "nulls": "any"},
    )
    assert feature_names(settings)[-3:] == ("momentum", "momentum_rank", "body")
    assert entry(settings, "momentum_rank")["formula"] == "rank(ret(close, 60) - ret(close, 5))"
    assert entry(settings, "momentum_rank")["group"] == "ideas"
    panel = make_panel(80, 5, seed=3)  # type: ignore[operator]
    last: date = panel["Date"].max()
    table = compute_features(panel, settings, last, last, threads=1)
    difference = table.select(pl.col("ret_60d") - pl.col("ret_5d") - pl.col("momentum")).to_series().abs()
    assert difference.count() > 2 and difference.max() < 1e-6  # type: ignore[operator]


@pytest.mark.parametrize("name", ["ret_5d", "sales_yoy", "KMID", "close", "mean", "Date", "valid_5d", "market_return"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name!r} is .* already"):
        own({"name": name, "formula": "ret(close, 3)"})


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'mine' is a feature of features\.custom already"):
        own({"name": "mine", "formula": "ret(close, 3)"}, {"name": "mine", "formula": "ret(close, 4)"})


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("ret_5", "'mine'.*no column 'ret_5'.*ret_5d"),
        ("later", "no column 'later'"),
        ("rnk(ret_5d)", "no operator 'rnk'.*rank"),
        ("lag(close, -1)", "never reads the future"),
        ("mean(close)", "takes 2 operands"),
        ("__import__('os')", "no operator|not a number"),
        ("market_mean(mkt_ret_5d)", "the same for all"),
        ("1 + 1", "constant"),
    ],
)
def test_a_formula_that_cannot_be_read_is_refused_with_its_reason(formula: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        own({"name": "mine", "formula": formula}, {"name": "later", "formula": "close"})


@pytest.mark.parametrize("name", ["5d", "a b", "a-b", "", "lambda", "größe"])
def test_a_name_that_no_formula_could_use_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        own({"name": name, "formula": "ret(close, 3)"})


def test_unknown_groups_are_refused() -> None:
    with pytest.raises(ValidationError, match="statements"):
        FeatureSettings.model_validate({"groups": ["statement"]})
    with pytest.raises(ValidationError, match="each once"):
        FeatureSettings(groups=("returns", "returns"))
    with pytest.raises(ValidationError, match="at least one"):
        FeatureSettings(groups=())


def test_a_preset_declares_features_and_a_wrong_one_is_explained(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("extends: demo\nfeatures:\n  custom:\n    - {name: calm, formula: -rank(vol_20d)}\n")
    assert feature_names(presets.load(preset).features)[-1] == "calm"
    preset.write_text("extends: demo\nfeatures:\n  custom:\n    - {name: calm, formula: -rank(vol_21d)}\n")
    with pytest.raises(SettingsError, match=r"'calm'.*'vol_21d'.*vol_20d"):
        presets.load(preset)


MODULE = """
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import close, rank, ret

FEATURES = tuple(Feature(f"own_{days}d", "custom", rank(ret(close, days))) for days in (3, 7))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    select.cache_clear()


def test_a_module_of_ones_own_declares_features(folder: Path) -> None:
    (folder / "declared_by_me.py").write_text(MODULE)
    settings = own({"name": "both", "formula": "own_3d - own_7d"}, modules=["declared_by_me"])
    assert feature_names(settings)[-3:] == ("own_3d", "own_7d", "both")
    assert entry(settings, "both")["formula"] == "rank(ret(close, 3)) - rank(ret(close, 7))"


def test_what_a_module_declares_enters_the_hash_of_the_settings(folder: Path) -> None:
    hashes = []
    for name, text in (
        ("first_mine", MODULE),
        ("second_mine", f"# Tried on Monday.\n{MODULE}"),
        ("third_mine", MODULE),
    ):
        (folder / f"{name}.py").write_text(text.replace("7)", "8)") if name == "third_mine" else text)
        hashes.append(FeatureSettings(modules=(name,)).hashed())
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent_module", None, "cannot be imported.*PYTHONPATH"),
        ("misspelt_module", "FEATURES = (", "cannot be imported.*misspelt_module.py"),
        ("number_module", "FEATURES = 3", "not a tuple of declarations"),
        ("empty_module", "", "not a tuple of declarations"),
        (
            "clashing_module",
            MODULE.replace("own_", "ret_").replace("(3, 7)", "(5,)"),
            "'ret_5d' is a feature of the group returns",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_refused_with_its_reason(
    folder: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (folder / f"{name}.py").write_text(text)
    with pytest.raises(SettingsError, match=message):
        FeatureSettings(modules=(name,))


def test_validity_flags_stand_for_the_windows() -> None:
    assert validity_names() == ("valid_5d", "valid_20d", "valid_60d", "valid_120d", "valid_252d")
