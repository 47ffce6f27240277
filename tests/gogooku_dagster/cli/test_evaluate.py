"""Anybody's predictions from the command line."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.gogooku_dagster.cli.bars import write
from tests.gogooku_dagster.cli.conftest import Command

QUICK = ("--set", "portfolio.bootstrap_draws=100", "--set", "portfolio.random_draws=20", "--set", "seed=3")


def predictions(days: int = 30, names: int = 24) -> pl.DataFrame:
    """Random labels, and predictions that know a part of them."""
    rng = np.random.default_rng(2)
    label = rng.normal(0, 0.02, days * names)
    return pl.DataFrame(
        {
            "Date": [date(2020, 1, 6) + timedelta(day) for day in range(days) for _ in range(names)],
            "Code": [f"{name:04d}" for _ in range(days) for name in range(names)],
            "prediction": label + rng.normal(0, 0.03, days * names),
            "label": label,
        }
    )


def test_a_file_with_its_own_labels_gets_a_headline_a_page_and_a_document(gogooku: Command, tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", predictions(days=60))
    shown = gogooku("evaluate", "mine.csv", *QUICK)
    folder = tmp_path / "home" / "evaluation" / "mine"
    assert shown.status == 0, shown.err
    assert "Submitted predictions" in shown.out and "rank better than chance" in shown.out
    assert f"Report: {folder / 'report.html'}" in shown.out
    assert {path.name for path in folder.iterdir()} == {"report.html", "report.json", "daily.parquet"}
    document = json.loads(gogooku("evaluate", "mine.csv", *QUICK, "--json", "--out", "elsewhere").out)
    assert document.pop("path") == str(tmp_path / "elsewhere" / "report.html")
    assert document == json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert document["models"]["submitted"]["1"]["rank_ic"]["n"] == 60


def test_a_month_of_predictions_gets_no_interval_and_no_verdict_however_good(gogooku: Command, tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", predictions(days=30))
    shown = gogooku("evaluate", "mine.csv", *QUICK)
    assert "Too few days to tell: 30 days make 3.0 blocks of 10 days, and an interval needs 6." in shown.out
    assert "[–]" in shown.out and "chance" not in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.csv",), ("gone.csv", "does not exist")),
        (("bare.csv",), ("no column label", "gogooku run")),
        (("bare.csv", "--out", "bare.csv"), ("--out", "is a file")),
        (("twice.csv",), ("repeats", "1 of 721 rows")),
        (("twice.csv", "--set", "portfolio.quantil=0.1"), ("portfolio.quantile",)),
    ],
)
def test_what_cannot_be_judged_is_one_paragraph_and_leaves_nothing(
    gogooku: Command, tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    write(tmp_path / "bare.csv", predictions().drop("label"))
    write(tmp_path / "twice.csv", pl.concat([predictions(), predictions().head(1)]))
    given = gogooku("evaluate", *arguments)
    assert given.status == 1 and given.out == ""
    assert "Traceback" not in given.err and "\n\n" not in given.err.strip()
    for each in said:
        assert each in given.paragraph, given.paragraph
    assert not (tmp_path / "home" / "evaluation").exists()
