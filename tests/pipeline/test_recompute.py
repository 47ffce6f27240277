"""Promise 2: after a fix the partial result equals a full rebuild bit for bit, and only what depends on it is done."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from model.lineage.graph import ASSET_NAMES, FOLD_STAGES, descendants
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage, Verdict
from model.settings.root import Settings
from model.store.store import Store
from tests.pipeline.support import TODAY, Build, Built, files_settings

MENDED = date(2019, 5, 15)
UNTOUCHED_FOLD = "wf_2018q4"
TRAINED = frozenset({"trained_model", "validation_predictions", "portfolio_report"})
"""Dear to compute. Where they are left out they are judged, by the judge whom a build asks."""


def contents(home: Path) -> dict[tuple[str, str], str]:
    store = Store(home)
    found = {}
    for asset in ASSET_NAMES:
        for partition in store.partitions(asset):
            manifest = store.require(asset, None if partition == "all" else partition)
            found[asset, partition] = manifest.content_hash
    return found


@dataclass(frozen=True)
class Chunks:
    """The file (inode) that each month of the panel and of the features lies in."""

    panel: dict[str, int]
    features: dict[str, int]

    @classmethod
    def of(cls, home: Path) -> "Chunks":
        store = Store(home)
        folders = (store.directory("raw_dataset") / "panel", store.directory("quality_features") / "features")
        return cls(*({path.stem: path.stat().st_ino for path in folder.glob("*.parquet")} for folder in folders))


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def judged(home: Path, settings: Settings) -> list[Verdict]:
    store = Store(home)
    return list(Lineage(store, settings, look_up(store, settings, TODAY)).verdicts())


def mend(folder: Path) -> None:
    table = pl.read_parquet(folder / "bars.parquet")
    code = table.filter(pl.col("Date") == MENDED, pl.col("Close").is_not_null())["Code"][3]
    wrong = (pl.col("Date") == MENDED) & (pl.col("Code") == code)
    table.with_columns(
        High=pl.when(wrong).then(pl.col("High") * 1.1).otherwise(pl.col("High")),
        Close=pl.when(wrong).then(pl.col("Close") * 1.02).otherwise(pl.col("Close")),
    ).write_parquet(folder / "bars.parquet")


def test_nothing_is_computed_the_second_time(copy: Path, build: Build) -> None:
    assert build(copy / "home", files_settings(copy / "bars.parquet")) == []


@dataclass(frozen=True)
class Mended:
    """The built home after one day of its source was corrected and what is stale was computed."""

    home: Path
    settings: Settings
    before: Chunks
    """As the home was built."""
    computed: list[Built]


@pytest.fixture(scope="module")
def mended(built: Path, build: Build, tmp_path_factory: pytest.TempPathFactory) -> Mended:
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("mended") / "copy"))
    before = Chunks.of(folder / "home")
    mend(folder)
    settings = files_settings(folder / "bars.parquet")
    return Mended(folder / "home", settings, before, build(folder / "home", settings))


def test_a_mended_day_recomputes_what_depends_on_it_and_equals_a_full_rebuild(
    mended: Mended, built: Path, build: Build, tmp_path: Path
) -> None:
    before, computed = contents(built / "home"), mended.computed
    assert [each for each in computed if each[0] == "daily_quotes"] == [("daily_quotes", MENDED.isoformat())]
    heavy = set(FOLD_STAGES) - {"walk_forward_folds"}
    assert {partition for asset, partition in computed if asset in heavy} == {"wf_2019q2"}
    after = contents(mended.home)
    assert all(after[asset, UNTOUCHED_FOLD] == before[asset, UNTOUCHED_FOLD] for asset in FOLD_STAGES)
    build(tmp_path / "full", mended.settings)
    assert contents(tmp_path / "full") == after
    assert after != before


def test_only_the_chunks_that_a_fix_reaches_are_written_again(mended: Mended) -> None:
    before, after = mended.before, Chunks.of(mended.home)
    assert [month for month in before.panel if before.panel[month] != after.panel[month]] == ["2019-05"]
    changed = {month for month in before.features if before.features[month] != after.features[month]}
    assert changed == {"2019-05", "2019-06"}


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("portfolio.cost_bps_per_side=9.0", "portfolio_report"),
        ("graph.max_neighbours=3", "correlation_graph"),
        ("baseline.num_leaves=7", "baseline"),
    ],
)
def test_a_setting_of_one_stage_recomputes_that_stage_and_what_follows_only(
    copy: Path, build: Build, override: str, changed: str
) -> None:
    settings = files_settings(copy / "bars.parquet", override)
    computed = {asset for asset, _ in build(copy / "home", settings, TRAINED & set(descendants(changed)))}
    assert changed in computed
    assert computed <= {changed, *descendants(changed)}
    left = {verdict.asset for verdict in judged(copy / "home", settings) if verdict.state != "fresh"}
    assert left <= set(descendants(changed))


def test_equal_content_written_another_way_recomputes_nothing(copy: Path, build: Build) -> None:
    table = pl.read_parquet(copy / "bars.parquet")
    table.write_parquet(copy / "bars.parquet", compression="snappy", row_group_size=500)
    assert build(copy / "home", files_settings(copy / "bars.parquet")) == []


def test_a_new_day_is_appended_and_closed_folds_stay_as_they_are(copy: Path, build: Build) -> None:
    table = pl.read_parquet(copy / "bars.parquet")
    last = table["Date"].max()
    table.filter(pl.col("Date") == last).with_columns(Date=pl.lit(date(2019, 7, 1))).pipe(
        lambda day: pl.concat([table, day])
    ).write_parquet(copy / "bars.parquet")
    settings = files_settings(copy / "bars.parquet")
    computed = build(copy / "home", settings, TRAINED)
    assert [each for each in computed if each[0] == "daily_quotes"] == [("daily_quotes", "2019-07-01")]
    assert not [each for each in computed if each[1] == UNTOUCHED_FOLD and each[0] != "walk_forward_folds"]
    closed = [verdict for verdict in judged(copy / "home", settings) if verdict.partition == UNTOUCHED_FOLD]
    assert {(verdict.asset, verdict.state) for verdict in closed} == {(asset, "fresh") for asset in FOLD_STAGES}
