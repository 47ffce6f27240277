"""The commands as people and scripts use them: two storage roots of a simulated market, one on a file of one's own.

The installed command fills the first root, in processes of its own. The other commands run inside this one.
"""

import json
import re
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from model.lineage.build import bring_up_to_date
from model.lineage.graph import ASSET_NAMES
from model.settings import presets
from model.store import verdicts
from model.store.checks import CheckOutcome
from model.store.documents import TRIALS
from model.store.store import Store
from tests.conftest import Computed
from tests.gogooku_dagster.cli.bars import TINY_BARS, Result
from tests.gogooku_dagster.cli.inside import inside

MODELS = (
    "atft_gat_fan",
    "lightgbm",
    "lightgbm_rank",
    "ridge",
    "momentum_120d",
    "reversal_1d",
    "random",
    "oracle",
)
STAGE_LINE = re.compile(r"^(\w+)(?: \[(.+)\])? +\d+\.\d s$")
FIGURE = r"[+−]\d+\.\d+ \[[+−]\d+\.\d+, [+−]\d+\.\d+\]"
MENDED = date(2019, 5, 15)
OWN = f"""
extends: {TINY_BARS}
source: {{kind: files, path: bars.parquet}}
calendar: {{exchange: from_data}}
folds: {{periods: [2019q2]}}
features: {{groups: [returns, technical]}}
labels: {{horizons: [1]}}
tensors: {{features: [ret_1d, ret_5d, ret_20d]}}
baseline: {{n_estimators: 5}}
training:
  phases: [{{name: only, epochs: 1, lr: 0.001}}]
  guards: {{degenerate: flag}}
"""


@dataclass(frozen=True)
class Home:
    """A storage root."""

    path: Path

    def gogooku(self, *arguments: str) -> Result:
        """A command that must succeed."""
        result = inside(self.path, *arguments)
        assert result.status == 0, result.err
        return result

    def document(self, *arguments: str) -> Any:
        """The one JSON document that a command prints."""
        return json.loads(self.gogooku(*arguments, "--json").out)

    def hashes(self) -> dict[tuple[str, str], str]:
        """Content hash of every artefact."""
        store = Store(self.path)
        return {
            (asset, partition): store.require(asset, None if partition == "all" else partition).content_hash
            for asset in ASSET_NAMES
            for partition in store.partitions(asset)
        }


@pytest.fixture(scope="module")
def tiny(pipeline: Computed) -> Home:
    """The storage root that two runs of the installed command filled."""
    return Home(pipeline.home)


@pytest.fixture(scope="module")
def own(tiny: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The last 165 days of the same market as a file, and nothing computed yet."""
    folder = tmp_path_factory.mktemp("own")
    store = Store(tiny.path)
    days = store.partitions("daily_quotes")[-165:]
    quotes = [store.read_table("daily_quotes", "quotes.parquet", day) for day in days]
    pl.concat(quotes).drop("KnownAt").sort("Code", "Date").write_parquet(folder / "bars.parquet")
    (folder / "own.yaml").write_text(OWN, encoding="utf-8")
    return Home(folder / "home")


def computed(result: Result) -> list[tuple[str, str]]:
    """Asset and partitions of the stage lines on standard error."""
    found = [STAGE_LINE.match(line) for line in result.err.splitlines()]
    return [(match[1], match[2] or "") for match in found if match]


def assets(result: Result) -> set[str]:
    return {asset for asset, _ in computed(result)}


def test_a_run_prints_every_model_with_its_days_and_interval_gross_and_net(pipeline: Computed) -> None:
    header, *rows = pipeline.rest.out.splitlines()[:9]
    assert re.findall(r"RankIC|days|net Sharpe|gross", header) == ["RankIC", "days", "net Sharpe", "gross"]
    labels = (
        *("ATFT-GAT-FAN", "LightGBM", "LightGBM, ranking", "Ridge", "Momentum, 120 days", "One-day reversal"),
        *("Random", "Reachable oracle"),
    )
    for label, row in zip(labels, rows, strict=True):
        assert row.startswith(label)
        assert re.search(rf"{FIGURE} +\d+ +{FIGURE} +[+−]\d+\.\d+ ", row), row
    report = pipeline.home / "artifacts" / "portfolio_report" / "all" / "report.html"
    assert f"Report: {report}\n" in pipeline.rest.out and report.is_file()


def test_a_run_shows_each_stage_with_its_seconds_and_each_epoch_in_plain_lines(pipeline: Computed) -> None:
    folds = {"wf_2018q4", "wf_2019q2"}
    first, rest = computed(pipeline.first), computed(pipeline.rest)
    for stages in (first, rest):
        shown = list(dict.fromkeys(asset for asset, _ in stages))
        assert shown == [asset for asset in ASSET_NAMES if asset in shown]
    assert assets(pipeline.first) | assets(pipeline.rest) == set(ASSET_NAMES)
    assert not assets(pipeline.first) & assets(pipeline.rest)
    assert {partition for asset, partition in rest if asset == "trained_model"} == folds
    assert ("daily_quotes", "2018-01-04 … 2019-06-28, 362") in first
    epochs = [line for line in pipeline.rest.err.splitlines() if " phase " in line]
    assert len(epochs) == 8
    for line in epochs:
        assert re.search(r"wf_\w+  phase \w+  epoch \d  .*loss -?[\d.]+ .*validation rank IC -?[\d.e-]+ ", line), line
    for run in (pipeline.first, pipeline.rest):
        assert run.err.endswith(" s.\n") and "artefacts computed in" in run.err


def test_standard_error_holds_nothing_of_the_libraries(pipeline: Computed) -> None:
    for noise in ("\x1b", "INFO", "DEBUG", "Warning", "alembic", "mlflow", "dagster"):
        assert noise not in pipeline.first.err + pipeline.rest.err, noise


def test_a_run_that_ends_before_the_report_prints_no_headline(pipeline: Computed) -> None:
    assert pipeline.first.out == ""


def test_a_second_run_computes_nothing(tiny: Home, pipeline: Computed) -> None:
    again = tiny.gogooku("run", "--config", str(TINY_BARS))
    assert computed(again) == [] and "nothing was recomputed" in again.err
    assert again.out == pipeline.rest.out


def test_status_names_the_check_that_refused_what_is_stored(tiny: Home, tmp_path: Path) -> None:
    copy = Home(shutil.copytree(tiny.path, tmp_path / "home"))
    manifest = Store(copy.path).require("raw_dataset")
    failed = {"quarantined_share": CheckOutcome(False, "Too many.")}
    verdicts.record(Store(copy.path), manifest, failed, ["quarantined_share"])
    [entry] = copy.document("status")["refused"]
    assert entry == {"asset": "raw_dataset", "partition": None, "checks": ["check quarantined_share: Too many."]}
    assert "refused by check quarantined_share: Too many." in copy.gogooku("status").out


def test_status_counts_what_is_fresh(tiny: Home) -> None:
    document = tiny.document("status")
    assert document == {"fresh": len(tiny.hashes()), "stale": [], "missing": [], "refused": [], "left_over": []}
    lines = [line.split() for line in tiny.gogooku("status").out.splitlines()]
    assert [line[0] for line in lines] == list(ASSET_NAMES)
    assert {line[2] for line in lines} == {"fresh"}


def test_a_dry_refresh_of_what_is_fresh_is_one_document_without_work(tiny: Home) -> None:
    plan = tiny.document("refresh", "--dry-run")
    assert plan["recompute"] == [] and plan["estimated_seconds"] == 0.0
    assert plan["full_rebuild_seconds"] > 0.0
    assert "nothing to recompute" in tiny.gogooku("refresh", "--dry-run").out


def test_report_figures_carry_value_days_and_interval_by_model_and_horizon(tiny: Home) -> None:
    document = tiny.document("report")
    assert Path(document["path"]).is_file()
    assert set(document["models"]) == set(MODELS)
    for by_horizon in document["models"].values():
        assert set(by_horizon) == {"1", "5"}
        for figures in by_horizon.values():
            for name in ("rank_ic", "sharpe"):
                figure = figures[name]
                assert {"value", "n", "interval"} <= set(figure)
                low, high = figure["interval"]
                assert low <= high and figure["n"] > 0


def test_diagnose_shows_head_gradients_labels_and_features_of_a_trained_fold(tiny: Home) -> None:
    [found] = tiny.document("diagnose")["folds"]
    assert found["fold"] == "wf_2019q2" and found["epochs"] == 4, "the last trained fold"
    assert set(found["head"]) == set(found["labels"]) == set(found["test"]) == {"1", "5"}
    for horizon in ("1", "5"):
        assert found["head"][horizon]["std_ratio"] > 0 and not found["head"][horizon]["dead"]
        assert 0 <= found["labels"][horizon]["null_share"] < 1 and found["labels"][horizon]["std"] > 0
    assert {"gat", "gate", "attention", "vsn", "temporal", "heads", "norm"} <= set(found["gradients"])
    assert all(len(norms) == 4 for norms in found["gradients"].values())
    assert all(0 <= each["clip_share"] <= 1 for each in found["features"].values())
    assert sum(found["looks_at"]["selection"].values()) == pytest.approx(1.0)
    text = tiny.gogooku("diagnose", "--fold", "wf_2018q4").out
    assert text.startswith("wf_2018q4: epoch ")
    for word in ("prediction head", "gradient norm", "gat", "gate alpha", "labels", "features"):
        assert word in text


def test_diagnose_of_a_fold_that_was_not_trained_says_which_were(tiny: Home) -> None:
    result = inside(tiny.path, "diagnose", "--fold", "wf_2031q1")
    assert result.status == 1
    assert "wf_2031q1 was not trained" in result.err and "wf_2018q4, wf_2019q2" in result.err


def test_the_catalogue_counts_the_predictions(tiny: Home) -> None:
    with duckdb.connect(str(tiny.path / "catalog.duckdb"), read_only=True) as catalogue:
        [[rows]] = catalogue.sql("SELECT count(*) FROM validation_predictions").fetchall()
    store = Store(tiny.path)
    folds = store.partitions("validation_predictions")
    parts = [store.read_table("validation_predictions", "predictions.parquet", fold).height for fold in folds]
    assert rows == sum(parts) > 0


def test_a_build_without_dagster_in_another_process_gives_the_same_bits(tiny: Home, tmp_path: Path) -> None:
    shutil.copy(tiny.path / TRIALS, tmp_path)  # how many configurations were tracked is an input of the report
    bring_up_to_date(Store(tmp_path), presets.load(TINY_BARS), date.today())
    other = Home(tmp_path)
    assert other.hashes() == tiny.hashes()
    assert {"trained_model", "validation_predictions", "portfolio_report"} <= {asset for asset, _ in other.hashes()}


def test_the_configuration_of_the_last_run_holds_for_the_commands_that_follow(tiny: Home, tmp_path: Path) -> None:
    copy = Home(shutil.copytree(tiny.path, tmp_path / "home"))
    costlier = ("--set", "portfolio.cost_bps_per_side=9.0")
    stale = {entry["asset"] for entry in copy.document("status", *costlier)["stale"]}
    assert stale == {"portfolio_report"}
    again = copy.gogooku("run", "--config", str(TINY_BARS), *costlier)
    assert assets(again) == {"portfolio_report"} and "1 artefact computed" in again.err
    assert copy.document("status")["stale"] == []
    assert copy.document("report")["config"]["cost_bps_per_side"] == 9.0
    [entry] = copy.document("status", "--set", "portfolio.cost_bps_per_side=5.0")["stale"]
    assert entry["partition"] is None and "settings changed" in entry["reasons"][0]


def test_a_selection_the_rest_and_a_mended_day_of_a_file(own: Home) -> None:
    _a_selection_and_the_rest(own)
    fresh = own.document("status")
    assert fresh["stale"] == [] and fresh["missing"] == []
    _mend(own.path.parent / "bars.parquet")
    _status_names_the_day(own)
    _refresh_computes_exactly_it(own)
    _a_day_that_leaves_the_file_is_no_longer_used(own)


def _a_selection_and_the_rest(own: Home) -> None:
    some = own.gogooku("run", "--config", "own.yaml", "--select", "raw_dataset, daily_quotes")
    assert [asset for asset, _ in computed(some)] == ["daily_quotes", "raw_dataset"]
    assert some.out == ""
    rest = own.gogooku("run", "--config", "own.yaml")
    assert assets(rest) == set(ASSET_NAMES) - {"daily_quotes", "raw_dataset"}
    assert "Reachable oracle" not in rest.out and "LightGBM" in rest.out


def _mend(path: Path) -> None:
    table = pl.read_parquet(path)
    code = table.filter(pl.col("Date") == MENDED, pl.col("Close").is_not_null())["Code"][3]
    wrong = (pl.col("Date") == MENDED) & (pl.col("Code") == code)
    higher = [pl.when(wrong).then(pl.col(name) * by).otherwise(name).alias(name) for name, by in _BY.items()]
    table.with_columns(higher).write_parquet(path)


_BY = {"High": 1.1, "Close": 1.02}


def _status_names_the_day(own: Home) -> None:
    [entry] = own.document("status")["stale"]
    assert (entry["asset"], entry["partition"]) == ("daily_quotes", MENDED.isoformat())
    [reason] = entry["reasons"]
    assert re.fullmatch(r"source changed from [0-9a-f]{12} to [0-9a-f]{12}", reason)
    assert f"[{MENDED}] {reason}" in own.gogooku("status").out


def _refresh_computes_exactly_it(own: Home) -> None:
    before = own.hashes()
    plan = own.document("refresh", "--dry-run")
    listed = {(item["asset"], item["partition"] or "all") for item in plan["recompute"]}
    assert [each for each in listed if each[0] == "daily_quotes"] == [("daily_quotes", MENDED.isoformat())]
    assert 0.0 < plan["estimated_seconds"] < plan["full_rebuild_seconds"]
    assert "Upper bound: " in own.gogooku("refresh", "--dry-run").out
    assert own.hashes() == before
    done = own.document("refresh")
    found = {(item["asset"], item["partition"] or "all") for item in done["computed"]}
    changed = {key for key, content in own.hashes().items() if before[key] != content}
    assert changed <= found <= listed
    assert own.document("status") == {"fresh": len(before), "stale": [], "missing": [], "refused": [], "left_over": []}


def _a_day_that_leaves_the_file_is_no_longer_used(own: Home) -> None:
    path = own.path.parent / "bars.parquet"
    table = pl.read_parquet(path)
    table.filter(pl.col("Date") != MENDED).write_parquet(path)
    assert computed(own.gogooku("run", "--config", "own.yaml", "--until", "raw_dataset")) == [("raw_dataset", "")]
    left = {"asset": "daily_quotes", "partition": MENDED.isoformat()}
    assert own.document("status")["left_over"] == [left]
    assert f"1 no longer used ({MENDED})" in own.gogooku("status").out
