"""Promise 2: whatever changes, the cells computed again make the features those of a full build, bit for bit."""

import shutil
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import StoreError
from model.quality_features import stage
from model.quality_features.bands_jobs import Job
from model.quality_features.language.columns import COLUMNS
from model.quality_features.rows_panel import Panel
from model.quality_features.settings import FeatureSettings
from model.store.parquet import files as parquet_files
from model.store.parquet.columns import Column
from model.store.store import Store
from tests.model.quality_features.edits import EDITS, Edit, days_of
from tests.model.quality_features.stage_support import (
    ALL_GROUPS,
    ASSET,
    FILES,
    KEY,
    build,
    checksums,
    content,
    differing_columns,
    update,
    write_raw,
)

PanelMaker = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def history(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(200, 6, seed=2)


@pytest.fixture(scope="module")
def built(history: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("built")
    build(home, history)
    return home


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "home", copy_function=shutil.os.link)  # type: ignore[attr-defined]
    return tmp_path / "home"


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_after_a_change_every_value_is_that_of_the_engine_run_over_everything(
    home: Path, history: pl.DataFrame, edit: Edit
) -> None:
    changed = edit(history, np.random.Generator(np.random.PCG64(len(edit.__name__))))
    assert not changed.equals(history)
    store, manifest = build(home, changed)
    assert not differing_columns(store, FILES, panel=changed)
    assert not any(figures["months_whole"] for figures in manifest.extra["recomputed"].values())


@pytest.mark.parametrize("threads", [1, 4])
def test_a_price_is_mended_where_the_source_lacks_tables_that_features_read(
    make_panel: PanelMaker, tmp_path: Path, threads: int
) -> None:
    """Statements, margin and short selling are selected, and an index is named; the source has bars alone."""
    chosen = ALL_GROUPS.model_copy(update={"runtime": ALL_GROUPS.runtime.model_copy(update={"threads": threads})})
    panel = make_panel(300, 5, seed=11).with_columns(Close=pl.col("AdjClose"))
    build(tmp_path, panel, chosen)
    for row in (400, 700, 1000):
        close = pl.when(pl.int_range(pl.len()) == row).then(pl.col("AdjClose") * 1.01).otherwise("AdjClose")
        panel = panel.with_columns(AdjClose=close)
        store, manifest = build(tmp_path, panel, chosen)
        assert not differing_columns(store, chosen, panel=panel)
        assert not any(figures["months_whole"] for figures in manifest.extra["recomputed"].values())


@given(seed=st.integers(0, 10**6))
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chain_of_changes_ends_in_the_chunks_of_a_build_from_scratch(
    history: pl.DataFrame, built: Path, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(built, folder / "home")
    panel = history
    for _ in range(2):
        for index in rng.integers(0, len(EDITS), 3):
            panel = EDITS[index](panel, rng)
        _, partial = build(folder / "home", panel)
    _, full = build(folder / "full", panel)
    assert content(partial) == content(full)
    assert partial.content_hash == full.content_hash
    assert checksums(partial) == checksums(full), "equal values, and other bytes"


def test_a_run_that_changes_nothing_reads_no_chunk(
    home: Path, history: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store(home).require(ASSET)
    write_raw(home, panel=history)
    read: list[str] = []
    original = Store.path

    def watched(store: Store, asset: str, file: str, partition: str | None = None) -> Path:
        read.append(f"{asset}/{file}")
        return original(store, asset, file, partition)

    monkeypatch.setattr(Store, "path", watched)
    _, again = update(home)
    assert not [file for file in read if file.count("/") > 1]
    assert again.content_hash == before.content_hash
    assert not any(again.extra["computed_months"].values())
    assert again.extra["full"] == before.extra["full"]


def test_a_mended_price_costs_the_months_that_each_memory_reaches(home: Path, history: pl.DataFrame) -> None:
    day = days_of(history)[60]
    before = Store(home).require(ASSET)
    _, fix = build(home, mended(history, day))
    months = fix.extra["computed_months"]
    assert months["features"] <= 3 <= months["features_quarter"] <= 5 <= months["features_half_year"] <= 8
    assert months["labels"] <= 3
    recomputed, whole = fix.extra["recomputed"], before.extra["recomputed"]
    assert all(recomputed[table]["cells"] < 0.95 * whole[table]["cells"] for table in whole)
    assert recomputed["features"]["cells"] < 0.1 * whole["features"]["cells"]
    assert recomputed["labels"]["codes"] == 1
    assert fix.extra["full"] == before.extra["full"]
    assert set(before.extra["computed_months"].values()) == {fix.extra["months"]}
    unchanged = [name for name, hash_ in content(before).items() if content(fix)[name] == hash_]
    folder = Store(home).directory(ASSET)
    assert {f"features/{month:%Y-%m}.parquet" for month in days_of(history) if month < day.replace(day=1)} <= {
        *unchanged
    }
    assert all((folder / name).stat().st_nlink > 1 for name in unchanged if name.startswith("features"))


def test_columns_in_which_nothing_differs_are_not_encoded_again(
    home: Path, history: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: set[str] = set()
    encode = parquet_files.encoded

    def noted(column: pl.Series) -> Column:
        encoded.add(column.name)
        return encode(column)

    monkeypatch.setattr(parquet_files, "encoded", noted)
    store, _ = build(home, mended(history, days_of(history)[60]))
    volume = {each["name"] for each in store.read_json(ASSET, "catalogue.json") if each["inputs"] == ["AdjVolume"]}
    assert len(volume) >= 3 and not volume & encoded
    assert {"ret_1d", "beta_60d", "ema_ratio_200d", "target_1"} <= encoded
    for table, names in {"features": ["Date", "Code", *volume], "labels": KEY}.items():
        assert store.read_chunks(ASSET, table, columns=list(names)).height == history.height


def test_a_damaged_chunk_is_not_copied_into_a_new_one(home: Path, history: pl.DataFrame) -> None:
    """Its other columns would be taken over with a checksum that says that they are right."""
    day = days_of(history)[60]
    file = Store(home).directory(ASSET) / f"features_half_year/{day:%Y-%m}.parquet"
    damaged = bytearray(file.read_bytes())
    damaged[100] ^= 1
    file.unlink()
    file.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"features_half_year.*is not the file that was written"):
        build(home, mended(history, day))


def noted_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """What is computed from the names of the panel from now on."""
    jobs: list[Job] = []
    compute = stage.compute_job

    def noted(panel: Panel, days: Sequence[date], settings: FeatureSettings, job: Job, **more: Any) -> pl.DataFrame:
        jobs.append(job)
        return compute(panel, days, settings, job, **more)

    monkeypatch.setattr(stage, "compute_job", noted)
    return jobs


def mended(history: pl.DataFrame, day: date) -> pl.DataFrame:
    """Another close for one member of a day."""
    of_day = (pl.col("Date") == day) & pl.col("InUniverse") & pl.col("AdjClose").is_not_null()
    hit = (pl.col("Date") == day) & (pl.col("Code") == history.filter(of_day)["Code"][0])
    return history.with_columns(AdjClose=pl.when(hit).then(pl.col("AdjClose") * 1.01).otherwise("AdjClose"))


def test_after_a_mended_price_names_are_compared_only_on_days_near_it(
    home: Path, history: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = noted_jobs(monkeypatch)
    days = days_of(history)
    store, fix = build(home, mended(history, days[60]))
    assert not [name for job in jobs for name in job.names if name.startswith("mkt_")]
    near = [job for job in jobs if "market_mean(ret(close, 1))" in job.names]
    assert [(job.first, job.last) for job in near] == [(days[60], days[62])]
    recomputed = fix.extra["recomputed"]
    assert recomputed["reductions"]["days"] == 3 and recomputed["features_market"]["days"] > 100
    assert not differing_columns(store, FILES, panel=mended(history, days[60]))


def test_a_reduction_whose_file_was_damaged_is_not_read(home: Path, history: pl.DataFrame) -> None:
    days = days_of(history)
    file = Store(home).directory(ASSET) / f"reductions/{days[0]:%Y-%m}.parquet"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.unlink()
    file.write_bytes(damaged)
    with pytest.raises(StoreError, match=rf"reductions/{days[0]:%Y-%m}.parquet is not the file that was written"):
        build(home, mended(history, days[60]))


def test_an_appended_day_touches_the_newest_month_and_the_labels_that_it_resolves(
    history: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_of(history)
    build(tmp_path, history.filter(pl.col("Date") < days[-1]))
    before = Store(tmp_path).require(ASSET)
    jobs = noted_jobs(monkeypatch)
    _, appended = build(tmp_path, history)
    changed = {name for name, hash_ in content(appended).items() if content(before).get(name) != hash_}
    late = f"{days[-1]:%Y-%m}"
    bands = [table for table in appended.extra["computed_months"] if table.startswith("features")]
    assert {name for name in changed if name.startswith("features")} == {f"{table}/{late}.parquet" for table in bands}
    resolved = {f"labels/{days[-1 - h]:%Y-%m}.parquet" for h in range(6)}
    assert {name for name in changed if name.startswith("labels")} == resolved
    assert appended.extra["recomputed"]["features"]["days"] == 1
    assert [(job.first, job.last) for job in jobs] == [(days[-1], days[-1])]  # all bands together


def test_other_code_computes_everything_and_equal_values_keep_the_content(home: Path, history: pl.DataFrame) -> None:
    before = Store(home).require(ASSET)
    _, recoded = build(home, history, code="2")
    assert set(recoded.extra["computed_months"].values()) == {recoded.extra["months"]}
    assert recoded.content_hash == before.content_hash


def test_changes_of_slow_and_market_wide_values_reach_what_reads_them(make_panel: PanelMaker, tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    panel = make_panel(120, 6, seed=4).with_columns(Close=pl.col("AdjClose"))
    raw = {"panel": panel, "slow": beside(panel, KEY, "slow", rng), "market": beside(panel, ("Date",), "market", rng)}
    write_raw(tmp_path, **raw)
    store, _ = update(tmp_path, ALL_GROUPS)
    assert not differing_columns(store, ALL_GROUPS, **raw)
    day, code = panel.select(KEY).row(300)
    sale = (pl.col("Date") >= day) & (pl.col("Date") < day + timedelta(days=9)) & (pl.col("Code") == code)
    later = {
        "slow": raw["slow"].with_columns(Sales=pl.when(sale).then(pl.col("Sales") * 2).otherwise("Sales")),
        "market": raw["market"].with_columns(
            IndexClose=pl.when(pl.col("Date") == day).then(pl.col("IndexClose") * 1.1).otherwise("IndexClose")
        ),
    }
    for table, frame in later.items():
        raw[table] = frame
        write_raw(tmp_path, **raw)
        store, manifest = update(tmp_path, ALL_GROUPS)
        assert not differing_columns(store, ALL_GROUPS, **raw)
        recomputed = manifest.extra["recomputed"]
        assert 0 < recomputed["features"]["months"] < manifest.extra["months"]
        assert (recomputed["features_market"]["cells"] == 0) == (table == "slow")
        assert recomputed["labels"]["cells"] == 0


def beside(panel: pl.DataFrame, key: tuple[str, ...], table: str, rng: np.random.Generator) -> pl.DataFrame:
    """A slow or market table of positive random values for the panel's rows or days."""
    rows = panel.select(key).unique(maintain_order=True)
    names = [spec.source for spec in COLUMNS.values() if spec.table == table]
    return rows.with_columns(pl.Series(name, rng.lognormal(3.0, 0.1, rows.height)) for name in names)
