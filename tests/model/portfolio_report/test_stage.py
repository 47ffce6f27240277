"""From stored artefacts to a published report, and the checks that guard it."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from model.errors import DataError
from model.portfolio_report import stage
from model.portfolio_report.checks import CHECKS
from model.portfolio_report.inputs import BASELINES, NETWORK, ORACLE, STORED_RANDOM, Inputs, read_inputs
from model.portfolio_report.settings import PortfolioSettings
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
            dates = rows.select("Date").unique().sort("Date").with_columns(role=pl.lit("test"))
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
    assert page.count("<script>") == 1 and "<script " not in page and "@import" not in page
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|https?://(?!www\.w3\.org)", page)
    assert not re.search(r"url\((?!#)", page)


def test_words_from_the_settings_are_shown_as_words(built: tuple[Store, Manifest]) -> None:
    page = built[0].path(stage.ASSET, "report.html").read_text(encoding="utf-8")
    assert "A &lt;simulated&gt; market." in page
    assert "The network" in page and "LightGBM" in page


def test_only_figures_are_hashed_not_the_looks(built: tuple[Store, Manifest]) -> None:
    files = built[1].files
    assert {name for name, entry in files.items() if entry.hashed} == {"report.json", "daily.parquet"}
    assert {"report.html", "rank_ic.png", "cumulative_net_return.png", "training.png"} <= set(files)


def test_the_same_inputs_give_the_same_report_page_and_pictures(built: tuple[Store, Manifest], tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_inputs(store, make_inputs(days=80, names=25, folds=2, horizons=(1, 5)))
    again = stage.materialise(run_of(store, settings_with()))
    assert again.content_hash == built[1].content_hash
    assert {n: e.sha256 for n, e in again.files.items()} == {n: e.sha256 for n, e in built[1].files.items()}


def test_the_live_fold_has_no_part_in_any_figure(built: tuple[Store, Manifest]) -> None:
    report = built[0].read_json(stage.ASSET, "report.json")
    assert [fold["fold"] for fold in report["folds"]] == list(FOLDS)


def test_all_checks_pass_on_a_sound_report(built: tuple[Store, Manifest]) -> None:
    for check in CHECKS:
        outcome = check.run(built[0], settings_with(), None)
        assert outcome.passed, outcome.summary


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
