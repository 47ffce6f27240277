"""The stage: features and labels in chunks, the oracle beside the labels, and what the checks say of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated import oracle as oracle_module
from model.labels.settings import LabelSettings
from model.quality_features import checks, stage
from model.quality_features.bands import bands
from model.quality_features.bands_write import Table, Update
from model.quality_features.read import feature_columns, read_features
from model.store.manifest import FileEntry
from model.store.store import Store
from tests.model.quality_features.stage_support import ASSET, FILES, IDENTITY, build

PanelMaker = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def history(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(200, 6, seed=2)


@pytest.fixture(scope="module")
def store(history: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(tmp_path_factory.mktemp("built"), history)[0]


def test_the_size_of_a_block_changes_no_bit(store: Store, history: pl.DataFrame, tmp_path: Path) -> None:
    large = FILES.model_copy(update={"features": FILES.features.model_copy(update={"months_per_block": 24})})
    assert store.require(ASSET).content_hash == build(tmp_path, history, large)[1].content_hash


def test_one_block_is_written_while_the_next_is_computed_and_no_more(
    history: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds one block that is written beside the one that is computed."""
    small = FILES.model_copy(update={"features": FILES.features.model_copy(update={"months_per_block": 1})})
    write, compute = Update._write_whole, stage.compute_job
    computed, written, waiting = [], [], Event()

    def slow_write(self: Update, tables: Sequence[Table], group: Sequence[str], frame: pl.DataFrame) -> None:
        if tables[0].name == "features":
            waiting.wait(timeout=30)
            written.append(len(computed))
        write(self, tables, group, frame)

    def noted_compute(*arguments: Any, **named: Any) -> pl.DataFrame:
        computed.append(len(written))
        if len(computed) == 2:
            waiting.set()
        return compute(*arguments, **named)

    monkeypatch.setattr(Update, "_write_whole", slow_write)
    monkeypatch.setattr(stage, "compute_job", noted_compute)
    build(tmp_path, history, small)
    assert waiting.is_set(), "the second block was not computed before the first was written"
    assert all(block - done <= 2 for block, done in enumerate(computed, start=1))


def test_what_fails_while_a_block_is_written_fails_the_build(
    history: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Update, tables: Sequence[Table], group: Sequence[str], frame: pl.DataFrame) -> None:
        raise OSError("no space left on the disk")

    monkeypatch.setattr(Update, "_write_whole", broken)
    with pytest.raises(OSError, match="no space left"):
        build(tmp_path, history)
    assert Store(tmp_path).manifest(ASSET) is None


def test_labels_of_a_simulated_market_carry_the_oracle(
    store: Store, history: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fake(panel: pl.DataFrame, source: SimulatedSource, horizons: Sequence[int]) -> pl.DataFrame:
        calls.append(panel.height)
        return panel.select("Date", "Code", *(pl.col("AdjClose").alias(f"oracle_{h}") for h in horizons))

    monkeypatch.setattr(oracle_module, "oracle", fake)
    simulated = FILES.model_copy(update={"source": SimulatedSource()})
    market, _ = build(tmp_path, history, simulated)
    labels = market.read_chunks(ASSET, "labels")
    assert labels["oracle_5"].equals(history["AdjClose"].alias("oracle_5"))
    assert calls == [history.height]
    build(tmp_path, history, simulated)
    assert calls == [history.height]
    longer = pl.concat([history, history.tail(1).with_columns(Date=pl.col("Date").dt.offset_by("1d"))])
    market, grown = build(tmp_path, longer, simulated)
    assert calls == [history.height, longer.height]
    assert grown.extra["recomputed"]["labels"]["cells"] > grown.extra["recomputed"]["features"]["cells"]
    assert market.read_chunks(ASSET, "labels")["oracle_5"].equals(longer["AdjClose"].alias("oracle_5"))
    assert store.read_chunks(ASSET, "labels")["oracle_1"].null_count() == history.height


@pytest.mark.parametrize("entry", ["close_to_close", "next_open"])
def test_checks_pass_on_what_the_stage_wrote(history: pl.DataFrame, tmp_path: Path, entry: str) -> None:
    chosen = FILES.model_copy(update={"labels": LabelSettings(horizons=(1, 5), entry=entry)})  # type: ignore[arg-type]
    store, _ = build(tmp_path, history, chosen)
    outcomes = {check.name: check.run(store, chosen, None) for check in checks.CHECKS}
    failed = {name: outcome.summary for name, outcome in outcomes.items() if not outcome.passed}
    assert set(failed) <= {"null_rates"}  # one row in twenty is missing from this panel
    assert len(outcomes["no_look_ahead"].metadata["dates"]) == 3


def test_null_rates_are_those_of_the_stored_members_once_warm(store: Store) -> None:
    stored = read_features(store, columns=["Date", "InUniverse", "ret_20d"])
    dates = stored["Date"].unique().sort()
    warm = stored.filter("InUniverse", pl.col("Date").dt.strftime("%Y-%m") > f"{dates[20]:%Y-%m}")
    strict = FILES.model_copy(update={"features": FILES.features.model_copy(update={"maximum_null_share": 0.0})})
    found = checks.check_null_rates(store, strict, None)
    assert not found.passed
    share = warm["ret_20d"].null_count() / warm.height
    assert 0.0 < share <= found.metadata["largest_null_share"]
    largest = {name: value for name, value in found.metadata.items() if name.startswith("null_share_")}
    assert largest.get("null_share_ret_20d", share) == pytest.approx(share)


def test_the_checks_find_a_feature_that_knows_the_future_and_labels_that_do_not_fit(
    store: Store, tmp_path: Path, history: pl.DataFrame
) -> None:
    copy, _ = build(tmp_path, history)
    before = copy.require(ASSET)
    with copy.writer(ASSET, None, IDENTITY) as w:
        for name in before.files:
            if name.startswith("features/"):
                frame = copy.read_table(ASSET, name).with_columns(ret_5d=pl.col("ret_5d").shift(-3).over("Code"))
            elif name.startswith("labels/"):
                frame = copy.read_table(ASSET, name).with_columns(target_1=pl.lit(0.0))
            elif name == "catalogue.json":
                w.json(name, copy.read_json(ASSET, name)[1:])
                continue
            else:
                w.reuse(name)
                continue
            w.table(name, frame, key=("Date", "Code"))
    look_ahead = checks.check_no_look_ahead(copy, FILES, None)
    assert not look_ahead.passed and all(name.endswith("ret_5d") for name in look_ahead.metadata["differing"])
    assert not checks.check_labels(copy, FILES, None).passed
    assert not checks.check_catalogue(copy, FILES, None).passed


def test_every_column_of_the_catalogue_lies_in_the_band_that_it_names(store: Store) -> None:
    listed = store.read_json(ASSET, "catalogue.json")
    chunk = {table: entry.columns or {} for table, entry in first_chunks(store).items()}
    assert all(entry["name"] in chunk[entry["band"]] for entry in listed)
    assert set(feature_columns(store)) == {name for columns in chunk.values() for name in columns}
    assert {band.table for band in bands(FILES.features)} == set(chunk)


def first_chunks(store: Store) -> dict[str, FileEntry]:
    files = store.require(ASSET).files
    return {name.split("/")[0]: entry for name, entry in files.items() if name.startswith("features")}
