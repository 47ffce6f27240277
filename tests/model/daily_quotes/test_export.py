"""The simulated market as files: the same days, the same values."""

from datetime import date
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from model.daily_quotes.schema import KEY
from model.daily_quotes.sources.base import DayBatch, day_slices
from model.daily_quotes.sources.day_hashes import slice_hashes
from model.daily_quotes.sources.export import Written, export, prepare_folder
from model.daily_quotes.sources.source import open_source
from model.errors import SourceError
from model.settings import presets
from model.settings.root import Settings

TODAY = date(2021, 1, 1)


def settings(**source: object) -> Settings:
    values = {"kind": "simulated", "stocks": 30, "start": "2019-06-03", "end": "2020-03-31", "outage_rate": 0.01}
    return Settings.model_validate({"source": {**values, **source}})


@cache
def simulated(rate: float = 0.005) -> DayBatch:
    source = open_source(settings(revision_rate=rate))
    return source.read(list(source.index().days))


def written(folder: Path, kind: str, rate: float = 0.005) -> Written:
    prepare_folder(folder, force=False)
    return export(simulated(rate), settings(revision_rate=rate), folder, "csv" if kind == "csv" else "parquet")


def hashes(frame: pl.DataFrame, days: tuple[date, ...]) -> list[str]:
    return slice_hashes(frame, [(offset, length) for _, offset, length in day_slices(frame["Date"], days)])


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_every_day_reads_back_with_the_same_hashes(tmp_path: Path, kind: str) -> None:
    result = written(tmp_path / "market", kind)
    back = open_source(presets.load(result.preset), today=TODAY)
    batch, before = back.read(list(back.index().days)), simulated()
    assert batch.days == before.days and set(batch.beside) == set(before.beside)
    assert batch.beside["revisions"].height > 10
    assert hashes(batch.quotes, batch.days) == hashes(before.quotes, before.days)
    for name, frame in before.beside.items():
        assert hashes(batch.beside[name], batch.days) == hashes(frame, before.days), name
    if kind == "parquet":
        assert back.index().days == open_source(settings(revision_rate=0.005)).index().days


def test_without_revisions_the_files_have_no_known_at_and_a_table_without_rows_stays_one(tmp_path: Path) -> None:
    batch = simulated(0.0)
    empty = {**batch.beside, "margin": batch.beside["margin"].clear()}
    short = DayBatch(batch.days, batch.quotes, beside=empty)
    prepare_folder(tmp_path / "market", force=False)
    result = export(short, settings(), tmp_path / "market")
    assert "KnownAt" not in pl.read_parquet_schema(tmp_path / "market" / "bars" / "2019.parquet")
    back = open_source(presets.load(result.preset), today=TODAY)
    again = back.read(list(back.index().days))
    assert again.quotes.equals(batch.quotes) and again.received is None
    assert again.beside["margin"].equals(empty["margin"]) and "revisions" not in again.beside


def test_the_preset_keeps_all_settings_but_the_source(tmp_path: Path) -> None:
    result = written(tmp_path / "market", "parquet")
    own, loaded = settings(revision_rate=0.005), presets.load(result.preset)
    assert loaded.source.kind == "files"
    assert loaded.model_dump(exclude={"source"}) == own.model_dump(exclude={"source"})


def test_progress_counts_the_files_and_the_bars_lie_by_year(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    prepare_folder(tmp_path / "market", force=False)
    result = export(
        simulated(),
        settings(),
        tmp_path / "market",
        "csv",
        lambda done, total, note="": seen.append((done, total, note)),
    )
    files = sorted(str(path.relative_to(tmp_path / "market")) for path in (tmp_path / "market").rglob("*.csv"))
    assert files[:2] == ["bars/2019.csv", "bars/2020.csv"] and len(files) == 7
    assert [done for done, _, _ in seen] == list(range(1, 8)) and {total for _, total, _ in seen} == {7}
    rows = simulated().quotes.height + sum(frame.height for frame in simulated().beside.values())
    assert result.rows == rows and result.files == 9
    keys = pl.read_csv(tmp_path / "market" / "bars" / "2019.csv", infer_schema=False).select(KEY)
    assert keys.equals(keys.sort(KEY))


def test_a_folder_with_anything_in_it_is_left_alone_unless_an_export_wrote_it(tmp_path: Path) -> None:
    folder = tmp_path / "market"
    written(folder, "csv")
    with pytest.raises(SourceError, match=r"not empty.*--force"):
        prepare_folder(folder, force=False)
    prepare_folder(folder, force=True)
    assert list(folder.iterdir()) == []
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(SourceError, match="does not empty it"):
        prepare_folder(folder, force=True)
    assert (folder / "thesis.txt").read_text() == "mine"
    with pytest.raises(SourceError, match="is a file"):
        prepare_folder(folder / "thesis.txt", force=True)
