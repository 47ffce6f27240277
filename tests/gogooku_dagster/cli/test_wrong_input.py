"""Wrong input ends at once: status 1, one paragraph on standard error, and nothing half-written."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from gogooku_dagster.cli.main import gogooku as group
from gogooku_dagster.lib.home import Installation, installation_to_run
from model.lineage.graph import ASSET_NAMES
from model.settings import presets
from model.store.store import Store
from tests.gogooku_dagster.cli.bars import CODES, ODD_CODES, Result, bars, installed, weekdays, write
from tests.gogooku_dagster.cli.conftest import Command
from tests.gogooku_dagster.cli.inside import inside

ROWS = 70 * len(CODES)
FOLD = ("--set", "folds={periods: [2020h1], live: false, train_days: null, min_train_days: 20, lookback_days: 20}")
TENTH = pl.int_range(pl.len()) % 10 == 0
SEVENTH = pl.int_range(pl.len()) == 7


def refused(result: Result, *said: str) -> str:
    """The paragraph, after making sure that it is one and says this."""
    assert result.status == 1, result.err
    assert result.out == ""
    text = result.paragraph
    assert "Traceback" not in text and "\n\n" not in result.err.strip()
    assert text.startswith("Error: ") and text.endswith((".", "?", "!")) and 50 < len(text) < 1000, text
    for each in said:
        assert each in text, (each, text)
    return text


def nothing_kept(home: Path) -> None:
    assert not (home / "artifacts").exists()
    assert not (home / "config.yaml").exists()
    assert not list(home.rglob(".staging-*"))


def run_on(gogooku: Command, path: Path | str, *more: str) -> Result:
    return gogooku("run", "--config", "us_equities", "--set", f"source.path={path}", *more)


def edited(edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[], pl.DataFrame]:
    return lambda: edit(bars())


def price(value: float, where: pl.Expr) -> Callable[[], pl.DataFrame]:
    return edited(lambda b: b.with_columns(Close=pl.when(where).then(pl.lit(value)).otherwise("Close")))


def text_price() -> pl.DataFrame:
    as_text = pl.col("Close").cast(pl.String)
    return bars().with_columns(Close=pl.when(SEVENTH).then(pl.lit("abc")).otherwise(as_text))


def tomorrow() -> pl.DataFrame:
    late = date.today() + timedelta(days=2)
    return bars().with_columns(Date=pl.when(SEVENTH).then(pl.lit(late)).otherwise("Date"))


WRONG_ROWS: dict[str, tuple[Callable[[], pl.DataFrame], tuple[str, ...]]] = {
    "missing_column": (
        edited(lambda b: b.rename({"Close": "Last"})),
        ("no column 'Close'", f"{ROWS} rows", "'Last'", "--set source.columns.Close=Last"),
    ),
    "text_in_a_price_column": (
        text_price,
        ("'Close'", "is not a number", f"1 of {ROWS} rows", "row 8", "Close=abc", "source.missing"),
    ),
    "no_rows": (edited(lambda b: b.clear()), ("0 rows", "source.path")),
    "duplicates": (
        edited(lambda b: pl.concat([b, *[b.tail(1)] * 3])),
        ("same Date and Code", "3 of", str(ROWS + 3), "S019", "Remove the repeats"),
    ),
    "unsorted_dates": (
        edited(lambda b: b.reverse()),
        ("go backwards", f"{ROWS - len(CODES)} of {ROWS} rows", "source.sort=true"),
    ),
    "future_date": (tomorrow, ("in the future", f"1 of {ROWS} rows", "today is", "source.date_format")),
    "one_negative_price": (
        price(-5.0, SEVENTH),
        ("'Close'", "is negative", f"1 of {ROWS} rows", "Close=-5.0", "Code=NA"),
    ),
    "many_zero_closes": (
        price(0.0, TENTH),
        ("'Close'", "is zero or negative", f"{ROWS // 10} of {ROWS} rows", "10.00%", "quality.max_bad_close_share"),
    ),
    "one_stock": (lambda: bars(codes=("A",)), ("1 code", "70 days", "at least 20", "quality.min_names")),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", WRONG_ROWS)
def test_wrong_rows_are_refused_by_file_column_and_count(
    gogooku: Command, tmp_path: Path, case: str, kind: str
) -> None:
    frame, said = WRONG_ROWS[case]
    path = write(tmp_path / f"{case}.{kind}", frame())
    refused(run_on(gogooku, path), path.name, *said)
    nothing_kept(tmp_path / "home")


@pytest.mark.parametrize("command", ["run", "status", "refresh"])
def test_a_missing_file_is_refused_before_anything_is_written(gogooku: Command, tmp_path: Path, command: str) -> None:
    given = gogooku(command, "--config", "us_equities", "--set", "source.path=gone.parquet")
    refused(given, str(tmp_path / "gone.parquet"), "does not exist", "source.path")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
def test_a_file_of_no_bytes_is_refused(gogooku: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refused(run_on(gogooku, name), name, "empty", "source.path")


def test_a_corrupt_parquet_file_is_refused(gogooku: Command, tmp_path: Path) -> None:
    whole = write(tmp_path / "bars.parquet", bars()).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    refused(run_on(gogooku, "cut.parquet"), "cut.parquet", "cannot be read as Parquet", "source.path")


def test_a_folder_without_data_files_is_refused(gogooku: Command, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.md").write_text("no bars here", encoding="utf-8")
    refused(run_on(gogooku, "notes"), str(tmp_path / "notes"), "no Parquet or CSV file", ".parquet")


def test_an_empty_path_is_refused(gogooku: Command) -> None:
    refused(gogooku("run", "--config", "us_equities"), "source.path", "--set source.path=bars.parquet")
    refused(run_on(gogooku, ""), "source.path")


def test_fewer_days_than_the_universe_looks_back_at_are_refused_at_once(gogooku: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "short.parquet", bars(days=30))
    text = refused(run_on(gogooku, path, *FOLD), "short.parquet", "30 trading days", "at least 61")
    assert "universe.lookback_days" in text
    nothing_kept(tmp_path / "home")


def test_fewer_days_than_a_fold_needs_are_refused_at_once(gogooku: Command, tmp_path: Path) -> None:
    path = write(tmp_path / "bars.parquet", bars())
    refused(run_on(gogooku, path, *FOLD), "wf_2020h1", "0 train days", "needs 20", "min_train_days")
    refused(run_on(gogooku, path), "wf_2014", "no test days", "70 trading days", "too short to test any")
    nothing_kept(tmp_path / "home")


WRONG_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "preset": (("run", "--config", "us_equites"), ("us_equites", "Did you mean 'us_equities'?", "demo")),
    "preset_of_status": (("status", "--config", "demmo"), ("Did you mean 'demo'?",)),
    "key": (("run", "--set", "training.days_per_bach=8"), ("unknown key", "did you mean 'training.days_per_batch'?")),
    "section": (("run", "--set", "trainin.days_per_batch=8"), ("unknown key 'trainin'", "'training'")),
    "value": (("run", "--set", "labels.horizons=abc"), ("labels.horizons", "list", "'abc'")),
    "value_range": (("run", "--set", "baseline.n_estimators=-1"), ("baseline.n_estimators", "-1")),
    "key_of_another_source": (("run", "--set", "source.path=b.csv"), ("source.path", "set source.kind=files as well")),
    "until": (("run", "--until", "baselin"), ("'baselin'", "Did you mean 'baseline'?", "portfolio_report")),
    "select": (("run", "--select", "baseline,traind_model"), ("'traind_model'", "Did you mean 'trained_model'?")),
    "set_without_sign": (("run", "--set", "seed"), ("'seed'", "key=value")),
    "set_without_key": (("refresh", "--set", "=3"), ("key=value",)),
    "set_of_broken_yaml": (("report", "--set", "folds.periods=[2020h1"), ("folds.periods=[2020h1", "YAML")),
    "set_below_a_value": (("status", "--set", "seed.deep=1"), ("seed", "single value")),
    "set_on_ui": (("ui", "--set", "seed=x"), ("seed", "'x'")),
}


@pytest.mark.parametrize("case", WRONG_WORDS)
def test_words_that_mean_nothing_are_refused_with_the_nearest_that_does(
    gogooku: Command, tmp_path: Path, case: str
) -> None:
    arguments, said = WRONG_WORDS[case]
    refused(gogooku(*arguments), *said)
    assert not (tmp_path / "home").exists()


def test_an_option_that_there_is_not_is_refused(gogooku: Command) -> None:
    given = gogooku("refresh", "--dryrun")
    assert given.status == 2 and given.out == ""
    assert "--dry-run" in given.err


def test_a_preset_that_is_not_yaml_is_refused(gogooku: Command, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("source: [1,\n", encoding="utf-8")
    refused(gogooku("run", "--config", "broken.yaml"), "broken.yaml", "YAML")
    (tmp_path / "list.yaml").write_text("- demo\n", encoding="utf-8")
    refused(gogooku("run", "--config", "list.yaml"), "list.yaml", "mapping")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_report_that_was_never_made_is_refused(gogooku: Command, flags: tuple[str, ...]) -> None:
    refused(gogooku("report", *flags), "portfolio_report", "not materialised", "gogooku run")


def test_everything_is_missing_in_an_empty_home(gogooku: Command, tmp_path: Path) -> None:
    preset = str(Path(__file__).parents[2] / "presets" / "tiny.yaml")
    shown = gogooku("status", "--config", preset)
    assert shown.status == 0 and shown.err == ""
    lines = [line.split() for line in shown.out.splitlines()]
    assert [line[0] for line in lines] == list(ASSET_NAMES)
    assert {line[2] for line in lines} == {"missing"}
    document = json.loads(gogooku("status", "--config", preset, "--json").out)
    assert document["fresh"] == 0 and document["stale"] == []
    assert {entry["asset"] for entry in document["missing"]} == set(ASSET_NAMES)
    plan = json.loads(gogooku("refresh", "--config", preset, "--dry-run", "--json").out)
    assert len(plan["recompute"]) == len(document["missing"]) == plan["without_estimate"]
    assert not (tmp_path / "home" / "artifacts").exists()


def test_codes_that_look_like_something_else_are_kept_from_csv_and_parquet(tmp_path: Path) -> None:
    home, folder, frame = tmp_path / "home", tmp_path / "bars", bars(days=4)
    folder.mkdir()
    days = weekdays(4)
    write(folder / "early.csv", frame.filter(pl.col("Date").is_in(days[:2])))
    write(folder / "late.parquet", frame.filter(pl.col("Date").is_in(days[2:])))
    done = inside(home, "run", "--config", "us_equities", "--set", "source.path=bars", "--until", "daily_quotes")
    assert done.status == 0, done.err
    for day in days:
        codes = Store(home).read_table("daily_quotes", "quotes.parquet", day.isoformat())["Code"]
        assert codes.dtype == pl.String
        assert codes.to_list() == sorted(CODES) and set(ODD_CODES) <= set(codes)


def test_what_the_gate_refuses_during_a_run_is_one_paragraph_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    frame = bars(days=64).with_columns(High=pl.when(TENTH).then(pl.lit(1.0)).otherwise("High"))
    write(tmp_path / "crossed.parquet", frame)
    home = tmp_path / "home"
    source = ("--set", "source.path=crossed.parquet")
    done = installed(home, "run", "--config", "us_equities", *source, "--until", "raw_dataset")
    assert done.status == 1 and done.out == ""
    assert "Traceback" not in done.err and "INFO" not in done.err
    text = done.paragraph
    assert "raw_dataset failed." in text and "a defect in 160 of 1600 rows" in text, text
    assert "quality.max_quarantined_share" in text
    assert Store(home).manifest("raw_dataset") is None
    assert not list(home.rglob(".staging-*"))
    state = json.loads(inside(home, "status", "--json").out)
    assert state["fresh"] == 64 and {"asset": "raw_dataset", "partition": None} in state["missing"]


def test_the_installed_command_refuses_in_the_same_words(tmp_path: Path) -> None:
    done = installed(tmp_path / "home", "run", "--config", "us_equities", "--set", "source.path=gone.csv")
    refused(done, str(tmp_path / "gone.csv"), "does not exist")
    assert not (tmp_path / "home").exists()


def test_selecting_an_asset_whose_input_is_not_there_says_what_is_missing(gogooku: Command, tmp_path: Path) -> None:
    preset = str(Path(__file__).parents[2] / "presets" / "tiny.yaml")
    given = gogooku("run", "--config", preset, "--select", "baseline")
    text = given.paragraph
    assert given.status == 1 and given.out == ""
    assert "baseline [wf_2018q4] cannot be computed" in text and "gogooku run --until baseline" in text
    assert not (tmp_path / "home" / "artifacts").exists()


def test_the_default_preset_takes_no_real_datas_place_unasked(
    gogooku: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOGOOKU_HOME", str(tmp_path / "home"))
    path = write(tmp_path / "bars.parquet", bars())
    Installation(tmp_path / "home", presets.locate("us_equities"), (f"source.path={path}",)).prepare()
    monkeypatch.setenv("GOGOOKU_CONFIG", "")
    record = tmp_path / "home" / "config.yaml"
    before = record.read_bytes()
    refused(gogooku("run"), "read real data", "source.kind: files", "gogooku refresh", f"--config {record}")
    refused(gogooku("run", "--set", "network.hidden=8"), "read real data")
    assert record.read_bytes() == before and not (tmp_path / "home" / "artifacts").exists()
    for named in ("demo", str(record)):
        assert installation_to_run(named).settings.source == presets.load(named).source
    other = (f"source.path={path}", "source.kind=files")
    assert installation_to_run(None, other).settings.source.kind == "files", "real data, named by the caller"
    Installation(tmp_path / "home", presets.locate("demo"), ("source.seed=4",)).prepare()
    monkeypatch.setenv("GOGOOKU_CONFIG", "")
    assert installation_to_run().preset.stem == "demo"


def test_a_source_may_be_chosen_key_by_key_in_any_order(tmp_path: Path) -> None:
    path = str(write(tmp_path / "bars.csv", bars(days=3)))
    for overrides in (
        ["source.kind=files", f"source.path={path}"],
        [f"source.path={path}", "source.kind=files"],
    ):
        source = presets.load("demo", overrides).source
        assert source.kind == "files" and source.path == path


@pytest.mark.parametrize("name", ["run", "status", "refresh", "report", "ui"])
def test_every_command_takes_a_preset_and_overrides_and_explains_itself_in_a_line(gogooku: Command, name: str) -> None:
    shown = gogooku(name, "--help")
    assert shown.status == 0 and "--config" in shown.out and "--set" in shown.out
    assert "..." not in group.commands[name].get_short_help_str(limit=72)
