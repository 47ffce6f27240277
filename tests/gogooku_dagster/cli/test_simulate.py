"""``gogooku simulate``: a market as files, and a preset that runs on them."""

from datetime import date
from pathlib import Path

import polars as pl

from model.daily_quotes.sources.source import open_source
from model.settings import presets
from model.store.store import Store
from tests.gogooku_dagster.cli.bars import TINY
from tests.gogooku_dagster.cli.conftest import Command
from tests.gogooku_dagster.cli.inside import inside

SMALL = ("--set", "source.stocks=30", "--set", "source.start=2018-01-04", "--set", "source.end=2018-03-30")


def test_it_writes_files_a_preset_and_a_note_and_says_how_to_run_them(gogooku: Command, tmp_path: Path) -> None:
    done = gogooku("simulate", "--out", "market", *SMALL, "--format", "csv")
    assert done.status == 0, done.err
    preset = tmp_path / "market" / "preset.yaml"
    assert f"gogooku run --config {preset}" in done.out and "simulate [2018-01-04 … 2018-03-30" in done.err
    source = presets.load(preset).source
    assert source.kind == "files"
    assert source.end == date(2018, 3, 30), "a market that has ended awaits no day"
    assert (tmp_path / "market" / "README.txt").read_text().startswith("Written by `gogooku simulate`")
    bars = pl.read_csv(tmp_path / "market" / "bars" / "2018.csv", infer_schema=False)
    assert bars["Code"].str.len_bytes().unique().to_list() == [5]
    assert not (tmp_path / "home").exists()


def test_a_full_folder_and_a_source_that_is_not_simulated_are_refused(gogooku: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for force in ((), ("--force",)):
        refused = gogooku("simulate", "--out", "mine", *SMALL, *force)
        assert refused.status == 1 and "Error: The folder" in refused.paragraph and refused.out == ""
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    other = gogooku("simulate", "--out", "new", "--config", "us_equities")
    assert other.status == 1 and "only a simulated market" in other.paragraph
    wrong = gogooku("simulate", "--out", "new", "--set", "source.stocks=1")
    assert wrong.status == 1 and "source.stocks" in wrong.paragraph and not (tmp_path / "new").exists()
    assert gogooku("simulate").status == 2


def test_force_replaces_what_an_earlier_export_wrote(gogooku: Command, tmp_path: Path) -> None:
    assert gogooku("simulate", "--out", "market", *SMALL, "--format", "csv").status == 0
    assert gogooku("simulate", "--out", "market", *SMALL).status == 1
    assert gogooku("simulate", "--out", "market", *SMALL, "--force").status == 0
    assert {path.suffix for path in (tmp_path / "market").rglob("*") if path.is_file()} == {".parquet", ".yaml", ".txt"}


def test_the_files_run_from_anywhere_and_give_the_simulated_days(tmp_path: Path) -> None:
    market, elsewhere = tmp_path / "market", tmp_path / "elsewhere"
    elsewhere.mkdir()
    home = elsewhere / "home"
    made = inside(tmp_path / "home", "simulate", "--out", str(market), "--config", str(TINY), *SMALL)
    assert made.status == 0, made.err
    run = inside(home, "run", "--config", str(market / "preset.yaml"), "--until", "daily_quotes")
    assert run.status == 0, run.err
    own = presets.load(TINY, SMALL[1::2])
    source = open_source(own)
    for day in source.read(list(source.index().days)).split():
        for name, rows in {"quotes": day.quotes, **day.beside}.items():
            kept = Store(home).read_table("daily_quotes", f"{name}.parquet", day.day.isoformat())
            assert kept.equals(rows), (day.day, name)
