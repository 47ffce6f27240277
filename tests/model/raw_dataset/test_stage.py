"""The panel is the same however it came about, and only what changed is written again."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.errors import DataError, SourceError
from model.raw_dataset.checks import CHECKS
from model.raw_dataset.health.facts import measure
from model.raw_dataset.panel import PANEL
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.raw_dataset.stage import ASSET, require_days
from model.store.manifest import Manifest

MONTHS = ["2020-01", "2020-02", "2020-03", "2020-04", "2020-05", "2020-06", "2020-07"]


def inputs(manifest: Manifest) -> dict[str, str | None]:
    return {
        name.removeprefix("panel/").removesuffix(".parquet"): entry.input_hash
        for name, entry in manifest.files.items()
        if name.startswith("panel/")
    }


def scaled(code: str, factor: float) -> Any:
    chosen = pl.col("Code") == code
    return lambda rows: rows.with_columns(
        [
            pl.when(chosen).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
            for name in ("Open", "High", "Low", "Close")
        ]
    )


def outcomes(installation: Any) -> dict[str, bool]:
    return {check.name: check.run(installation.store, installation.settings, None).passed for check in CHECKS}


def test_the_panel_holds_every_row_of_every_day_in_month_chunks(installation: Any, market_rows: pl.DataFrame) -> None:
    manifest = installation.build()
    store = installation.store
    panel = store.read_chunks(ASSET, "panel")
    assert panel.schema == PANEL and list(store.chunks(ASSET, "panel")) == MONTHS
    assert panel.select("Date", "Code", "Close").equals(market_rows.select("Date", "Code", "Close"))
    assert manifest.first_date == date(2020, 1, 6) and manifest.last_date == date(2020, 7, 31)
    assert set(manifest.files) - {f"{table}/{month}.parquet" for table in ("panel", "state") for month in MONTHS} == {
        "quarantine.parquet",
        "universe.parquet",
        "calendar.parquet",
        "quality_report.json",
    }
    calendar = store.read_table(ASSET, "calendar.parquet")
    assert calendar.height == market_rows["Date"].n_unique() and calendar["names"].min() > 30
    assert all(outcomes(installation).values())


def test_members_are_twenty_five_a_day_from_the_first_choice_on(installation: Any) -> None:
    installation.build()
    panel = installation.store.read_chunks(ASSET, "panel")
    first = installation.store.read_table(ASSET, "universe.parquet")["EffectiveDate"].min()
    members = panel.group_by("Date").agg(pl.col("InUniverse").sum()).sort("Date")
    assert members.filter(pl.col("Date") < first)["InUniverse"].sum() == 0
    later = members.filter(pl.col("Date") >= first)["InUniverse"]
    assert later.max() == 25 and later.min() >= 22


def test_building_again_takes_everything_over(installation: Any) -> None:
    first = installation.build()
    again = installation.build()
    assert again.content_hash == first.content_hash and again.extra["months_reused"] == len(MONTHS)
    assert first.extra["months_reused"] == 0


def test_a_fix_of_one_day_rewrites_its_month_only_and_equals_a_full_rebuild(installation: Any, tmp_path: Path) -> None:
    before = installation.build()
    code = installation.store.read_chunks(ASSET, "panel").filter(pl.col("Tradable"))["Code"][0]
    installation.change("2020-06-16", scaled(code, 1.001))
    after = installation.build()
    rewritten = [month for month in MONTHS if inputs(after)[month] != inputs(before)[month]]
    assert rewritten == ["2020-06"] and after.extra["months_reused"] == len(MONTHS) - 1
    assert installation.afresh(tmp_path / "other").build().content_hash == after.content_hash != before.content_hash


def test_a_split_found_late_reaches_every_later_month_and_no_earlier_one(installation: Any, tmp_path: Path) -> None:
    before = installation.build()
    panel = installation.store.read_chunks(ASSET, "panel")
    code = panel.filter(pl.col("Date") == date(2020, 7, 31))["Code"][0]
    installation.change(
        "2020-04-15",
        lambda rows: rows.with_columns(
            AdjustmentFactor=pl.when(pl.col("Code") == code).then(0.5).otherwise(pl.col("AdjustmentFactor"))
        ),
    )
    after = installation.build()
    assert [month for month in MONTHS if inputs(after)[month] != inputs(before)[month]] == MONTHS[3:]
    assert installation.afresh(tmp_path / "other").build().content_hash == after.content_hash
    now = installation.store.read_chunks(ASSET, "panel")
    early = pl.col("Date") < date(2020, 4, 15)
    assert now.filter(early).equals(panel.filter(early))


def test_new_days_leave_every_earlier_month_as_it_was(
    installation: Any, tmp_path: Path, market_rows: pl.DataFrame
) -> None:
    short = type(installation)(installation.store.__class__(tmp_path / "short"), installation.settings)
    short.put(market_rows.filter(pl.col("Date") < date(2020, 7, 15)))
    short.build()
    short.put(market_rows.filter(pl.col("Date") >= date(2020, 7, 15)))
    grown = short.build()
    assert grown.extra["months_reused"] == len(MONTHS) - 1
    assert grown.content_hash == installation.build().content_hash


def test_the_future_never_changes_a_row_of_the_past(installation: Any, tmp_path: Path) -> None:
    installation.build()
    cut = date(2020, 5, 20)
    store = installation.store
    before = store.read_chunks(ASSET, "panel", end=cut)
    for day in store.partitions(QUOTES_ASSET):
        if day > cut.isoformat():
            installation.change(day, lambda rows: rows.with_columns(Volume=pl.col("Volume") * 7, AdjustmentFactor=0.9))
    rebuilt = installation.afresh(tmp_path / "other")
    rebuilt.build()
    assert rebuilt.store.read_chunks(ASSET, "panel", end=cut).equals(before)


def test_other_settings_rewrite_everything(installation: Any) -> None:
    installation.build()
    installation.settings.universe = UniverseSettings(size=None)
    installation.settings.hash = "other"
    manifest = installation.build()
    panel = installation.store.read_chunks(ASSET, "panel")
    assert manifest.extra["months_reused"] == 0
    assert (panel["InUniverse"] == panel["Close"].is_not_null()).all()
    assert installation.store.read_table(ASSET, "universe.parquet").is_empty()


def test_quarantined_rows_are_kept_with_their_reason_and_survive_reuse(installation: Any) -> None:
    code = installation.store.read_table(QUOTES_ASSET, "quotes.parquet", "2020-02-03").drop_nulls("Close")["Code"][0]
    broken = pl.when(pl.col("Code") == code).then(0.0).otherwise(pl.col("Open"))
    installation.change("2020-02-03", lambda rows: rows.with_columns(Open=broken))
    installation.build()
    installation.change("2020-07-31", scaled(code, 1.001))
    assert installation.build().extra["months_reused"] == len(MONTHS) - 1
    store = installation.store
    found = store.read_table(ASSET, "quarantine.parquet").filter(pl.col("reason") == "open_not_positive")
    assert found.select("Date", "Code", "treatment").rows() == [(date(2020, 2, 3), code, "field_nulled")]
    report = store.read_json(ASSET, "quality_report.json")
    assert report["reasons"]["open_not_positive"] == 1 and report["defective_rows"] == 1
    assert report["quarantined_rows"] == store.read_table(ASSET, "quarantine.parquet").height


def test_bad_data_leave_the_present_panel_in_place(installation: Any) -> None:
    before = installation.build()
    for day in ("2020-03-02", "2020-03-03"):
        installation.change(day, lambda rows: rows.with_columns(Close=pl.lit(0.0)))
    with pytest.raises(SourceError, match="max_bad_close_share"):
        installation.build()
    assert installation.store.require(ASSET).content_hash == before.content_hash
    assert not outcomes(installation)["in_step_with_days"]


def test_days_that_the_source_no_longer_has_are_left_out_and_named(installation: Any) -> None:
    installation.build()
    gone = ("2020-03-10", "2020-07-31")
    manifest = installation.build(without=gone)
    assert manifest.extra["days_left_out"] == list(gone)
    [check] = [each for each in CHECKS if each.name == "in_step_with_days"]
    outcome = check.run(installation.store, installation.settings, None)
    assert outcome.passed and "2 in the store are not used: the source no longer has them" in outcome.summary
    assert set(measure(installation.store, installation.settings).daily["Date"].cast(pl.String)).isdisjoint(gone)
    installation.put(
        installation.store.read_table(QUOTES_ASSET, "quotes.parquet", "2020-07-30").with_columns(Date=date(2020, 8, 3))
    )
    outcome = check.run(installation.store, installation.settings, None)
    assert not outcome.passed and outcome.metadata["new"] == ["2020-08-03"]


def test_too_short_a_history_and_too_few_names_are_refused(installation: Any) -> None:
    with pytest.raises(DataError, match=r"has 3 trading days \(2020-01-06 to 2020-01-08\), and at least 60.*min_days"):
        require_days([date(2020, 1, day) for day in (6, 7, 8)], 60, UniverseSettings())
    with pytest.raises(DataError, match=r"at least 101.*universe\.lookback_days"):
        require_days([date(2020, 1, 6)] * 70, 60, UniverseSettings(size=5, lookback_days=100))
    installation.settings.quality = QualitySettings(min_names=41)
    with pytest.raises(DataError, match=r"quality\.min_names"):
        installation.build()


def test_a_missing_trading_day_warns_and_an_inverted_split_factor_fails(installation: Any) -> None:
    installation.store.directory(QUOTES_ASSET, "2020-03-10").rename(installation.store.root / "aside")
    for day in installation.store.partitions(QUOTES_ASSET):
        installation.change(day, lambda rows: rows.with_columns(AdjustmentFactor=1.0 / pl.col("AdjustmentFactor")))
    installation.build()
    found = {check.name: check.run(installation.store, installation.settings, None) for check in CHECKS}
    gap = found["no_missing_trading_day"]
    assert not gap.passed and gap.severity == "warn" and gap.metadata["missing"] == ["2020-03-10"]
    splits = found["continuity_at_splits"]
    assert not splits.passed and splits.severity == "error" and splits.metadata["jumps"] > 3
