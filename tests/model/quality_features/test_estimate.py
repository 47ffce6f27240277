"""The cost said beforehand covers what is then computed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from model.quality_features.estimate import estimate
from model.store.store import Store
from tests.model.quality_features.edits import days_of
from tests.model.quality_features.stage_support import ASSET, FILES, build

PanelMaker = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def history(make_panel: PanelMaker) -> pl.DataFrame:
    return make_panel(150, 6, seed=5, missing=0.0)


@pytest.fixture(scope="module")
def home(history: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("estimate")
    build(home, history)
    return home


def test_there_is_no_estimate_before_the_first_build(tmp_path: Path) -> None:
    assert estimate(Store(tmp_path), FILES, []) is None


def test_nothing_changed_costs_nothing(home: Path) -> None:
    found = estimate(Store(home), FILES, [])
    assert found is not None
    assert found.one_name.cells == found.every_name.cells == 0 and found.one_name.seconds == 0.0
    assert found.full.cells == sum(entry["cells"] for entry in Store(home).require(ASSET).extra["full"].values())


def test_a_mended_row_costs_what_was_said_for_one_name(home: Path, history: pl.DataFrame, tmp_path: Path) -> None:
    day = days_of(history)[70]
    found = estimate(Store(home), FILES, [day])
    assert found is not None
    hit = (pl.col("Date") == day) & (pl.col("Code") == history["Code"][0])
    build(tmp_path, history)
    _, manifest = build(tmp_path, history.with_columns(AdjClose=pl.when(hit).then(51.0).otherwise("AdjClose")))
    recomputed = manifest.extra["recomputed"]
    cells = sum(figures["cells"] for figures in recomputed.values())
    assert found.one_name.cells >= cells > 0.9 * found.one_name.cells
    assert {table: figures["months"] for table, figures in recomputed.items()} == dict(found.one_name.months)
    assert found.one_name.cells < found.every_name.cells < found.full.cells
    assert 0.0 < found.one_name.seconds <= found.every_name.seconds


def test_a_new_day_costs_its_month_and_the_labels_that_it_resolves(home: Path, history: pl.DataFrame) -> None:
    new = days_of(history)[-1] + timedelta(days=1)
    found = estimate(Store(home), FILES, [new])
    assert found is not None
    assert all(months == 1 for table, months in found.one_name.months.items() if table != "labels")
    assert found.one_name.cells == found.every_name.cells < 0.1 * found.full.cells
