"""From stored artefacts to a published report, and the checks that guard it."""

import base64
import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from model.errors import DataError, StoreError
from model.lineage.graph import BY_NAME
from model.portfolio_report import stage
from model.portfolio_report.checks import CHECKS
from model.portfolio_report.inputs import BASELINES, NETWORK, ORACLE, STORED_RANDOM, Inputs, read_inputs
from model.portfolio_report.settings import PortfolioSettings
from model.store import documents
from model.store.manifest import Identity, Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.settings import FoldSettings
from tests.model.portfolio_report.synthetic import make_curves, make_inputs

FOLDS = ("wf_2019h1", "wf_2019h2")
NAMES = {"wf_1": FOLDS[0], "wf_2": FOLDS[1]}
IDENTITY = Identity(inputs={}, code_version="c0de", settings_hash="5e77")


def write_inputs(store: Store, inputs: Inputs, folds: tuple[str, ...] = FOLDS) -> None:
    """Store the artefacts that the report reads."""
    curves = make_curves(inputs)
    for document in inputs.folds:
        name = NAMES[str(document["fold"])]
        if name not in folds:
            continue
        rows = inputs.predictions.filter(pl.col("fold") == document["fold"]).sort("Date", "Code", "horizon")
        with store.writer("walk_forward_folds", name, IDENTITY) as w:
            w.json("fold.json", {**document, "fold": name})
            dates = rows.select("Date").unique().sort("Date").with_columns(role=pl.lit("test"), reach=20)
            w.table("dates.parquet", dates, key=("Date",))
        with store.writer("validation_predictions", name, IDENTITY) as w:
            own = rows.rename({NETWORK: "prediction"})
            w.table(
                "predictions.parquet",
                own.select("Date", "Code", "horizon", "prediction", "label", ORACLE),
                key=("Date", "Code", "horizon"),
            )
            w.table("market.parquet", inputs.market, key=("Date", "Code"))
        stacked = pl.concat(
            rows.select("Date", "Code", "horizon", pl.lit(label).alias("model"), pl.col(column).alias("prediction"))
            for column, label in (*((b, b) for b in BASELINES), (STORED_RANDOM, "random"))
        ).sort("Date", "Code", "horizon", "model")
        with store.writer("baseline", name, IDENTITY) as w:
            w.table("predictions.parquet", stacked, key=("Date", "Code", "horizon", "model"))
            w.json("metrics.json", {"features": ["ret_1d", "ret_5d", "vol_20d"]})
        with store.writer("normalization_stats", name, IDENTITY) as w:
            w.table("bounds.parquet", pl.DataFrame({"feature": ["ret_1d"], "low": [-3.0], "high": [3.0]}), ("feature",))
        with store.writer("correlation_graph", name, IDENTITY) as w:
            day = pl.Series([rows["Date"][0]] * 2)
            both = pl.DataFrame({"rebalance": day, "source": ["a", "b"], "target": ["b", "a"]})
            w.table("edges.parquet", both, key=("rebalance", "source", "target"))
            w.table("nodes.parquet", pl.DataFrame({"rebalance": day, "Code": ["a", "b"]}), key=("rebalance", "Code"))
            w.extra["graphs"] = 1
        with store.writer("trained_model", name, IDENTITY) as w:
            w.json("metrics.json", {"history": curves[str(document["fold"])], "best_epoch": 3})


def run_of(store: Store, settings: Any, folds: tuple[str, ...] = FOLDS) -> StageRun:
    inputs = {f"validation_predictions/{fold}": "aa" * 32 for fold in (*folds, "live")}
    return StageRun(store, settings, Identity(inputs=inputs, code_version="c0de", settings_hash="5e77"))


def settings_with(**portfolio: Any) -> Any:
    values = {"bootstrap_draws": 100, "random_draws": 20, "caveat": "A <simulated> market.", **portfolio}
    return SimpleNamespace(
        portfolio=PortfolioSettings(**values),
        labels=SimpleNamespace(entry="close_to_close"),
        folds=FoldSettings(periods=("2019h1", "2019h2")),
        seed=7,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    store = Store(tmp_path_factory.mktemp("home"))
    write_inputs(store, make_inputs(days=80, names=25, folds=2, horizons=(1, 5)))
    return store, stage.materialise(run_of(store, settings_with()))


def test_nothing_is_read_whose_change_would_not_make_the_report_stale(
    built: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = built
    read: set[str] = set()

    def noted(self: Store, asset: str, partition: str | None = None) -> Manifest | None:
        read.add(asset)
        return manifest(self, asset, partition)

    manifest = Store.manifest
    monkeypatch.setattr(Store, "manifest", noted)
    stage.materialise(run_of(store, settings_with()))
    assert {"correlation_graph", "normalization_stats"} <= read
    assert read <= set(BY_NAME["portfolio_report"].upstream)


class _Reader(HTMLParser):
    """Collects what a page would fetch, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_fetches_nothing(built: tuple[Store, Manifest]) -> None:
    page = built[0].path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    assert all(target.startswith("#") for target in reader.fetched)
    assert page.count("<script>") == 1 and "@import" not in page
    kinds = re.findall(r"<script ([^>]*)>", page)
    assert kinds == ['type="application/json" id="plots"', 'type="text/plain" id="library"']  # nothing that runs
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|https?://(?!www\.w3\.org)", page)
    assert not re.search(r"url\((?!#)", page)


def test_the_page_holds_the_plotting_library_as_it_is_installed(built: tuple[Store, Manifest]) -> None:
    from plotly.offline import get_plotlyjs

    page = built[0].path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    packed = re.search(r'id="library">([^<]*)</script>', page)
    assert packed
    assert gzip.decompress(base64.b64decode(packed[1])).decode() == get_plotlyjs()
    assert len(page) < 3_000_000


def test_words_from_the_settings_are_shown_as_words(built: tuple[Store, Manifest]) -> None:
    page = built[0].path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    assert "A &lt;simulated&gt; market." in page
    assert "The network" in page and "LightGBM" in page


def test_only_figures_are_hashed_not_the_looks(built: tuple[Store, Manifest]) -> None:
    files = built[1].files
    assert {name for name, entry in files.items() if entry.hashed} == {"report.json", "daily.parquet"}
    drawn = ("rank_ic", "rank_ic_distribution", "deciles", "ic_decay", "cumulative_net_return", "drawdown", "folds")
    drawn += ("turnover_and_costs", "sectors", "training")
    assert {"report.html", *(f"{name}.png" for name in drawn)} <= set(files)


def test_the_same_inputs_give_the_same_report_page_and_pictures(built: tuple[Store, Manifest], tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_inputs(store, make_inputs(days=80, names=25, folds=2, horizons=(1, 5)))
    again = stage.materialise(run_of(store, settings_with()))
    assert again.content_hash == built[1].content_hash
    assert {n: e.checksum for n, e in again.files.items()} == {n: e.checksum for n, e in built[1].files.items()}


def test_the_live_fold_has_no_part_in_any_figure(built: tuple[Store, Manifest]) -> None:
    report = built[0].read_json(stage.ASSET, "report.json")
    assert [fold["fold"] for fold in report["folds"]] == list(FOLDS)


def test_all_checks_pass_on_a_sound_report(built: tuple[Store, Manifest]) -> None:
    for check in CHECKS:
        outcome = check.run(built[0], settings_with(), None)
        assert outcome.passed or not check.blocking, outcome.summary


def test_the_gate_warns_and_never_blocks(built: tuple[Store, Manifest]) -> None:
    [gate] = [check for check in CHECKS if check.name == "beats_baseline"]
    assert not gate.blocking
    outcome = gate.run(built[0], settings_with(), None)
    found = built[0].read_json(stage.ASSET, "report.json")["gate"]
    assert outcome.passed == found["passed"] and outcome.summary == found["sentence"] and outcome.severity == "warn"
    assert outcome.metadata["low"] < outcome.metadata["difference"] < outcome.metadata["high"]


STUDY = {
    "horizon": 5,
    "note": "Three seeds each.",
    "rows": [
        {
            "name": "the graph",
            "rank_ic": {"value": 0.02, "n": 80, "interval": [0.01, 0.03]},
            "difference": {"value": 0.01, "n": 80, "interval": [0.002, 0.018]},
            "seeds": 3,
        },
        {
            "name": "the frequency part",
            "rank_ic": {"value": 0.03, "n": 80, "interval": None},
            "difference": {"value": 0.0, "n": 80, "interval": None},
        },
    ],
}


def test_a_study_of_the_parts_is_shown_where_there_is_one(built: tuple[Store, Manifest], tmp_path: Path) -> None:
    without = built[0].path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    assert "What each part of the network is worth" not in without and 'data-plot="ablation"' not in without
    store = Store(tmp_path)
    write_inputs(store, make_inputs(days=60, names=25, folds=2, horizons=(5,)))
    documents.write(store, documents.ABLATION, STUDY)
    documents.write(store, documents.TRIALS, {"configurations": ["a" * 64, "b" * 64, "c" * 64]})
    stage.materialise(run_of(store, settings_with()))
    page = store.path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    assert 'data-plot="ablation"' in page and "the frequency part" in page and "Three seeds each." in page
    report = store.read_json(stage.ASSET, "report.json")
    assert [row["name"] for row in report["ablation"]["rows"]] == ["the graph", "the frequency part"]
    assert report["trials"]["number"] == 3 + len(BASELINES)
    documents.write(store, documents.ABLATION, {"rows": [{"name": "x"}]})
    with pytest.raises(StoreError, match=r"ablation\.json"):
        stage.materialise(run_of(store, settings_with()))


def test_predictions_that_changed_after_the_report_are_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inputs = make_inputs(days=60, names=25, folds=2, horizons=(5,))
    write_inputs(store, inputs)
    stage.materialise(run_of(store, settings_with()))
    write_inputs(store, make_inputs(days=60, names=25, folds=2, horizons=(5,), seed=2))
    recomputed = next(check for check in CHECKS if check.name == "figures_recomputed")
    outcome = recomputed.run(store, settings_with(), None)
    assert not outcome.passed
    assert outcome.metadata["differing"] == outcome.metadata["compared"] == 21


def test_a_missing_fold_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_inputs(store, make_inputs(days=60, names=25, folds=2, horizons=(5,)), folds=FOLDS[:1])
    stage.materialise(run_of(store, settings_with(), FOLDS[:1]))
    present = next(check for check in CHECKS if check.name == "folds_present")
    outcome = present.run(store, settings_with(), None)
    assert not outcome.passed
    assert "wf_2019h2 missing" in outcome.summary


def test_without_a_fold_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one walk-forward fold"):
        read_inputs(Store(tmp_path), ("live",))


def test_a_day_tested_by_two_folds_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inputs = make_inputs(days=60, names=25, folds=1, horizons=(5,))
    write_inputs(store, inputs)
    twin = inputs.folds[0] | {"fold": "wf_2"}
    doubled = Inputs(inputs.predictions.with_columns(fold=pl.lit("wf_2")), inputs.market, inputs.test_dates, (twin,))
    write_inputs(store, doubled)
    with pytest.raises(DataError, match="more than one fold"):
        read_inputs(store, FOLDS)


def test_only_ranked_stocks_enter_the_market(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inputs = make_inputs(days=60, names=25, folds=2, horizons=(5,))
    stranger = inputs.market.with_columns(Code=pl.lit("99990")).unique(["Date"]).sort("Date")
    wider = pl.concat([inputs.market, stranger]).sort("Date", "Code")
    write_inputs(store, Inputs(inputs.predictions, wider, inputs.test_dates, inputs.folds))
    assert "99990" not in read_inputs(store, FOLDS).market["Code"].to_list()
