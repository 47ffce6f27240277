"""Somebody else's predictions: read without guessing, judged like our own."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.errors import DataError, GogookuError, SettingsError, SourceError
from model.portfolio_report.compare import evaluate
from model.portfolio_report.document import Report
from model.portfolio_report.headline import verdict_sentence
from model.portfolio_report.inputs import NETWORK, SUBMITTED, Inputs
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.submission import evaluate_file
from model.portfolio_report.submission_file import read_submission
from model.portfolio_report.submission_output import check_folder, write
from model.store.manifest import Identity
from model.store.store import Store
from tests.model.portfolio_report.synthetic import make_inputs

PORTFOLIO = PortfolioSettings(bootstrap_draws=100, random_draws=20, caveat="Simulated.")
SETTINGS: Any = SimpleNamespace(
    portfolio=PORTFOLIO, seed=7, labels=SimpleNamespace(entry="close_to_close", horizons=(1, 5))
)
COLUMNS = ("Date", "Code", "horizon", "prediction")


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return make_inputs(days=70, names=26, folds=2, horizons=(1, 5))


@pytest.fixture(scope="module")
def rows(inputs: Inputs) -> pl.DataFrame:
    """The network's own predictions, as a stranger's file would have them."""
    return inputs.predictions.select("Date", "Code", "horizon", "fold", "label", prediction=NETWORK)


@pytest.fixture(scope="module")
def home(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A home with the labels and the market of the same days; one stock is never in the universe."""
    assert inputs.market is not None
    table = inputs.market.with_columns(InUniverse=pl.lit(True))
    for h in inputs.horizons:
        own = inputs.predictions.filter(pl.col("horizon") == h).select(
            "Date", "Code", pl.col("label").alias(f"target_{h}")
        )
        table = table.join(own, on=["Date", "Code"], how="left")
    stranger = table.filter(pl.col("Code") == "10000").with_columns(Code=pl.lit("99990"), InUniverse=pl.lit(False))
    table = pl.concat([table, stranger]).sort("Date", "Code")
    store = Store(tmp_path_factory.mktemp("home"))
    with store.writer("quality_features", None, Identity(inputs={}, code_version="c", settings_hash="s")) as w:
        for (month,), part in table.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
            w.table(f"labels/{month}.parquet", part, key=("Date", "Code"))
    return store


def saved(folder: Path, frame: pl.DataFrame, name: str = "mine.parquet") -> Path:
    path = folder / name
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_the_network_handed_in_as_a_file_gets_the_figures_of_the_report(
    inputs: Inputs, rows: pl.DataFrame, home: Store, tmp_path: Path, name: str
) -> None:
    shuffled = rows.select(*COLUMNS, "fold").sample(fraction=1.0, shuffle=True, seed=3)
    found = evaluate_file(home, SETTINGS, saved(tmp_path, shuffled, name)).report
    alone = Inputs(
        inputs.predictions.select("Date", "Code", "horizon", "path", "fold", "label", NETWORK),
        inputs.market,
        inputs.test_dates,
        inputs.folds,
    )
    own = evaluate(alone, PORTFOLIO, entry="close_to_close", seed=7, generated_from={}).report
    assert found["models"][SUBMITTED] == own["models"][NETWORK]
    assert found["monthly"][SUBMITTED] == own["monthly"][NETWORK]
    assert found["exposures"][SUBMITTED] == own["exposures"][NETWORK]
    assert [fold["rank_ic"][SUBMITTED] for fold in found["folds"]] == [
        fold["rank_ic"][NETWORK] for fold in own["folds"]
    ]
    assert found["submission"]["left_out"] == {"missing_prediction": 0, "not_in_market": 0, "outside_universe": 0}


def test_perfect_inverted_and_constant_predictions_get_what_theory_says(
    rows: pl.DataFrame, home: Store, tmp_path: Path
) -> None:
    def figures(prediction: pl.Expr) -> Any:
        own = rows.filter(pl.col("horizon") == 5).with_columns(prediction=prediction).drop("label", "fold")
        return evaluate_file(home, SETTINGS, saved(tmp_path, own)).report["models"][SUBMITTED]["5"]

    assert figures(pl.col("label"))["rank_ic"]["value"] == 1.0
    assert figures(-pl.col("label"))["rank_ic"]["value"] == -1.0
    assert figures(pl.col("label") * 7 + 3)["ic"]["value"] == pytest.approx(1.0)
    constant = figures(pl.lit(0.25))
    assert constant["rank_ic"]["value"] is constant["sharpe"]["value"] is constant["rank_ic_q"]["value"] is None


@pytest.mark.parametrize("recorded", [True, False])
def test_an_entry_other_than_that_of_the_homes_labels_is_refused(
    rows: pl.DataFrame, home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    manifest = home.manifest("quality_features")
    assert manifest is not None
    if recorded:
        manifest = replace(manifest, extra={"entry": "close_to_close"})
    monkeypatch.setattr(home, "manifest", lambda *names: manifest)
    path = saved(tmp_path, rows.select(*COLUMNS))
    other: Any = SimpleNamespace(**vars(SETTINGS) | {"labels": SimpleNamespace(entry="next_open", horizons=(1, 5))})
    with pytest.raises(SettingsError, match=r"next_open.* computed with close_to_close.*--set labels\.entry=next_open"):
        evaluate_file(home, other, path)
    assert evaluate_file(home, SETTINGS, path).report["config"]["entry"] == "close_to_close"


def test_a_file_with_labels_says_at_which_entry_its_portfolio_is_filled(
    rows: pl.DataFrame, home: Store, tmp_path: Path
) -> None:
    report = evaluate_file(home, SETTINGS, saved(tmp_path, rows.select(*COLUMNS, "label"))).report
    assert report["config"]["entry"] == "as in the file (portfolio: close_to_close)"


def test_labels_of_ones_own_need_no_home_and_give_no_portfolio(rows: pl.DataFrame, tmp_path: Path) -> None:
    path = saved(tmp_path, rows.filter(pl.col("horizon") == 1).drop("horizon", "fold"))
    evaluation = evaluate_file(Store(tmp_path / "none"), SETTINGS, path, horizon=1)
    report = evaluation.report
    assert report["config"]["headline_horizon"] == 1 and report["config"]["entry"] == "as in the file"
    assert report["models"][SUBMITTED]["1"]["rank_ic"]["n"] == 70 and report["coverage"]["portfolio_days"] == 0
    page = write(evaluation, tmp_path / "out", "0" * 64)
    assert "without a market there are no portfolios" in page.read_text(encoding="utf-8")
    assert {each.name for each in page.parent.iterdir()} == {"report.html", "report.json", "daily.parquet"}
    assert not (tmp_path / "none").exists()


def test_the_document_and_the_page_are_those_of_the_pipeline(rows: pl.DataFrame, home: Store, tmp_path: Path) -> None:
    evaluation = evaluate_file(home, SETTINGS, saved(tmp_path, rows.select(*COLUMNS)))
    page = write(evaluation, tmp_path / "deep" / "out", "0" * 64)
    document = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    parsed = Report.model_validate_json(json.dumps(document))
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == document == evaluation.report
    text = page.read_text(encoding="utf-8")
    assert "mine.parquet" in text and "Network against baselines" not in text and "out of fold" not in text


def test_rows_that_cannot_count_are_left_out_and_counted(rows: pl.DataFrame, home: Store, tmp_path: Path) -> None:
    own = rows.filter(pl.col("horizon") == 5).select(*COLUMNS)
    day = own["Date"][0]
    more = pl.DataFrame(
        {
            "Date": [day, day, day + timedelta(days=9000)],
            "Code": ["99990", "NONE", "10000"],
            "horizon": [5, 5, 5],
            "prediction": [1.0, 1.0, 1.0],
        },
        schema=own.schema,
    )
    holed = own.with_columns(prediction=pl.when(pl.int_range(pl.len()) != 4).then(pl.col("prediction")))
    report = evaluate_file(home, SETTINGS, saved(tmp_path, pl.concat([holed, more]))).report
    assert report["submission"]["left_out"] == {"missing_prediction": 1, "not_in_market": 2, "outside_universe": 1}
    assert report["coverage"]["rows"]["common"] == own.height - 1


def held_by(own: pl.DataFrame, home: Store, folder: Path, rebalance: str = "every_h_days") -> list[bool]:
    """Whether the book of horizon 5 holds anything, on each day that counts."""
    settings: Any = SimpleNamespace(**vars(SETTINGS))
    settings.portfolio = PORTFOLIO.model_copy(update={"rebalance": rebalance})
    daily = evaluate_file(home, settings, saved(folder, own)).daily.table
    return (daily.filter(pl.col("horizon") == 5).sort("Date")["exposure"] > 1e-9).to_list()


@pytest.fixture(scope="module")
def on_days(rows: pl.DataFrame) -> Callable[[Iterable[int]], pl.DataFrame]:
    """The predictions of horizon 5 on some of the days, by number."""
    days = rows["Date"].unique().sort()

    def only(numbers: Iterable[int]) -> pl.DataFrame:
        chosen = days.gather(list(numbers)).implode()
        return rows.filter(pl.col("horizon") == 5, pl.col("Date").is_in(chosen)).select(*COLUMNS)

    return only


def test_a_weekly_model_is_held_between_its_days_and_idle_in_a_long_pause(
    on_days: Callable[[Iterable[int]], pl.DataFrame], home: Store, tmp_path: Path
) -> None:
    own = on_days([*range(0, 20, 5), *range(40, 60, 5)])
    assert held_by(own, home, tmp_path) == [True] * 20 + [False] * 20 + [True] * 20
    report = evaluate_file(home, SETTINGS, saved(tmp_path, own)).report
    assert report["coverage"]["portfolio_days"] == 60
    assert report["models"][SUBMITTED]["5"]["rank_ic"]["n"] == 8
    assert report["models"]["random"]["5"]["turnover"]["n"] == 60


@pytest.mark.parametrize("rebalance", ["every_h_days", "overlapping"])
def test_predictions_further_apart_than_the_horizon_are_each_held_for_it(
    on_days: Callable[[Iterable[int]], pl.DataFrame], home: Store, tmp_path: Path, rebalance: str
) -> None:
    held = held_by(on_days(range(0, 42, 7)), home, tmp_path, rebalance)
    assert held == ([True] * 5 + [False] * 2) * 5 + [True] * 5
    assert held_by(on_days([9]), home, tmp_path, rebalance) == [True] * 5


def test_weeks_with_a_holiday_do_not_put_a_weekly_model_off_its_rhythm_for_good(
    on_days: Callable[[Iterable[int]], pl.DataFrame], home: Store, tmp_path: Path
) -> None:
    # The second week has four days: its successor comes too early, the ones after it are traded again.
    held = held_by(on_days([0, 5, 9, 14, 19, 24]), home, tmp_path)
    assert held == [True] * 10 + [False] * 4 + [True] * 15


def test_predictions_whose_labels_share_no_day_are_not_taken_for_overlapping_ones(
    on_days: Callable[[Iterable[int]], pl.DataFrame], home: Store, tmp_path: Path
) -> None:
    report = evaluate_file(home, SETTINGS, saved(tmp_path, on_days(range(0, 65, 5)))).report
    found = report["models"][SUBMITTED]["5"]
    # Two of them lie within the ten days of a block.
    assert (found["rank_ic"]["n"], found["blocks"]) == (13, 6.5)
    assert found["rank_ic"]["interval"] is not None and found["ic"]["interval"] is not None
    assert all(group["interval"] is not None for group in report["deciles"][SUBMITTED])
    assert report["folds"][0]["rank_ic"][SUBMITTED]["interval"] == found["rank_ic"]["interval"]
    fewer = evaluate_file(home, SETTINGS, saved(tmp_path, on_days(range(0, 40, 5)))).report
    assert verdict_sentence(fewer) == "Too few days to tell: 8 days make 4.0 blocks of 2 days, and an interval needs 6."


def test_the_days_between_two_folds_of_daily_predictions_do_not_count(
    rows: pl.DataFrame, on_days: Callable[[Iterable[int]], pl.DataFrame], home: Store, tmp_path: Path
) -> None:
    days = rows["Date"].unique().sort()
    own = on_days([*range(20), *range(50, 70)])
    assert held_by(own, home, tmp_path) == [True] * 20 + [False] * 30 + [True] * 20
    folds = own.with_columns(fold=pl.when(pl.col("Date") < days[30]).then(pl.lit("a")).otherwise(pl.lit("b")))
    assert held_by(folds, home, tmp_path) == [True] * 40


def replaced(column: str, value: object, dtype: pl.DataType | None = None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def edit(frame: pl.DataFrame) -> pl.DataFrame:
        wrong = pl.int_range(pl.len()) == 3
        kept = pl.col(column) if dtype is None else pl.col(column).cast(dtype)
        return frame.with_columns(pl.when(wrong).then(pl.lit(value)).otherwise(kept).alias(column))

    return edit


HOSTILE: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], tuple[str, ...]]] = {
    "no_prediction": (lambda f: f.rename({"prediction": "predicted"}), ("no column 'prediction'", "'predicted'")),
    "no_rows": (lambda f: f.clear(), ("0 rows",)),
    "text": (replaced("prediction", "high", pl.String()), ("'prediction'", "is not a number", "1 of", "high")),
    "infinite": (replaced("prediction", float("inf")), ("'prediction'", "is infinite", "1 of")),
    "flags": (lambda f: f.with_columns(prediction=pl.lit(True)), ("'prediction'", "Boolean")),
    "lists": (lambda f: f.with_columns(prediction=pl.concat_list("prediction")), ("'prediction'", "List")),
    "date": (replaced("Date", "31/01/2020", pl.String()), ("'Date'", "is not a date", "31/01/2020")),
    "no_date": (replaced("Date", None), ("'Date'", "1 of")),
    "clock": (
        lambda f: f.with_columns(pl.col("Date").cast(pl.Datetime("us")) + timedelta(hours=9)),
        ("'Date'", "time of day"),
    ),
    "float_codes": (lambda f: f.with_columns(Code=pl.lit(1.5)), ("'Code'", "Float64")),
    "no_code": (replaced("Code", ""), ("'Code'", "is missing", "1 of")),
    "horizon": (replaced("horizon", 0), ("'horizon'", "whole number of trading days")),
    "half_horizon": (lambda f: f.with_columns(horizon=pl.lit(2.5)), ("'horizon'", "2.5")),
    "twice": (lambda f: pl.concat([f, f.head(2)]), ("repeats a Date, Code and horizon", "2 of")),
    "label": (replaced("label", float("-inf")), ("'label'", "is infinite")),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_not_predictions_is_refused_with_column_and_count(
    rows: pl.DataFrame, tmp_path: Path, case: str
) -> None:
    edit, said = HOSTILE[case]
    frame = rows.filter(pl.col("horizon") == 5).select(*COLUMNS, "label").head(60)
    path = saved(tmp_path, edit(frame))
    with pytest.raises(SourceError) as refused:
        read_submission(path, 5)
    for each in (str(path), *said):
        assert each in str(refused.value), str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "does not exist"),
        ("empty.parquet", b"", "0 bytes"),
        ("broken.parquet", b"PAR1 this is none", "cannot be read as Parquet"),
        ("binary.csv", b"\x00\xff\xfe\x80" * 50, "binary.csv"),
        ("notes.xlsx", b"x", "ends with .xlsx"),
        ("ragged.csv", b"Date,Code,prediction\n2020-01-06,A,1,2,3\n", "cannot be read as"),
        ("head.csv", b"Date,Code,prediction\n", "0 rows"),
        ("twice.csv", b"Date,Code,prediction,prediction\n2020-01-06,A,1,2\n", "names 'prediction' more than once"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_submission(tmp_path / name, 5)


def test_codes_and_dates_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("Code,Date,prediction,note,note\n0013,20200106,1e-3,x,\nNA,2020-01-07,,y,\n")
    found = read_submission(tmp_path / "odd.csv", 5)
    assert found["Code"].to_list() == ["0013", "NA"] and found["prediction"].to_list() == [0.001, None]
    assert found.columns == ["Date", "Code", "prediction", "horizon"] and found["horizon"].to_list() == [5, 5]
    midnight = pl.DataFrame({"Date": [datetime(2020, 1, 6)], "Code": [1301], "prediction": [np.float32(0.5)]})
    assert read_submission(saved(tmp_path, midnight), 5)["Code"].to_list() == ["1301"]


def test_predictions_that_meet_nothing_are_refused_with_both_sides_named(
    rows: pl.DataFrame, home: Store, tmp_path: Path
) -> None:
    own = rows.filter(pl.col("horizon") == 5).select(*COLUMNS)
    cases: list[tuple[pl.DataFrame, type[GogookuError], str]] = [
        (own.with_columns(pl.col("Code") + ".T"), DataError, r"10000\.T"),
        (own.with_columns(pl.col("Date").dt.offset_by("40y")), DataError, "2059-01-07"),
        (own.with_columns(Code=pl.lit("99990")).unique("Date"), DataError, "universe"),
        (own.with_columns(prediction=pl.lit(None, pl.Float64)), DataError, "has a prediction"),
        (own.with_columns(horizon=pl.lit(3, pl.Int32)), SettingsError, r"labels of .* are of \[1, 5\]"),
    ]
    for frame, kind, said in cases:
        with pytest.raises(kind, match=said):
            evaluate_file(home, SETTINGS, saved(tmp_path, frame))
    with pytest.raises(DataError, match="no column label"):
        evaluate_file(Store(tmp_path / "none"), SETTINGS, saved(tmp_path, own))


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    check_folder(tmp_path / "free" / "deep")
    with pytest.raises(SettingsError, match="taken is a file"):
        check_folder(tmp_path / "taken" / "deep")
