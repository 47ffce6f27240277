"""The benchmark adds up what the manifests say."""

import json
from pathlib import Path

import pytest

from benchmarks.run import main, read_figures, table


def write(home: Path, asset: str, partition: str, created: str, **figures: float) -> None:
    folder = home / "artifacts" / asset / partition
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"created_at": created, **figures}), encoding="utf-8")


def test_figures_are_summed_over_partitions_and_listed_in_the_order_of_work(tmp_path: Path) -> None:
    write(tmp_path, "raw_dataset", "all", "2024-01-01T00:00:02", rows=100, seconds=2.0, peak_memory_bytes=50)
    write(tmp_path, "daily_quotes", "a", "2024-01-01T00:00:00", rows=10, seconds=0.5, peak_memory_bytes=30)
    write(tmp_path, "daily_quotes", "b", "2024-01-01T00:00:01", rows=30, seconds=1.5, peak_memory_bytes=20)
    days, dataset = read_figures(tmp_path)
    assert (days.asset, dataset.asset) == ("daily_quotes", "raw_dataset")
    assert (days.artefacts, days.rows, days.seconds, days.rows_per_second) == (2, 40, 2.0, 20.0)
    assert days.peak_memory_bytes == 30


def test_a_stage_that_took_no_time_has_no_rate(tmp_path: Path) -> None:
    write(tmp_path, "labels", "all", "2024-01-01", rows=5, seconds=0.0, peak_memory_bytes=1)
    [figures] = read_figures(tmp_path)
    assert figures.rows_per_second == 0.0


def test_the_table_names_every_stage(tmp_path: Path) -> None:
    write(tmp_path, "raw_dataset", "all", "2024-01-01", rows=1_000, seconds=2.0, peak_memory_bytes=2**20)
    [figures] = read_figures(tmp_path)
    text = table({"name": "x", "wall_seconds": 3.0, "bytes_on_disk": 0, "stages": [figures.__dict__]})
    assert "raw_dataset" in text and "1,000" in text and "500" in text


def test_help_is_shown_without_computing_anything(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "--json" in capsys.readouterr().out
