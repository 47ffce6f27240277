"""What the tests of the whole graph share."""

from datetime import date
from pathlib import Path
from typing import Protocol

import polars as pl

from model.settings import presets
from model.settings.root import Settings

TINY = Path(__file__).parents[1] / "presets" / "tiny.yaml"
TODAY = date(2024, 1, 1)
Built = tuple[str, str | None]


class Build(Protocol):
    """Brings a home up to date, leaving out assets and all that depends on them, and says what was computed."""

    def __call__(self, home: Path, settings: Settings, without: frozenset[str] = frozenset()) -> list[Built]: ...


BESIDE = ("statements", "investor_flow", "margin", "short_selling", "indices")
"""The tables that the tiny market has beside its bars."""


def write_files(folder: Path, bars: pl.DataFrame, tables: dict[str, pl.DataFrame]) -> Settings:
    """Write a market as files, and say how to read them."""
    assert sorted(tables) == sorted(BESIDE)
    bars.write_parquet(folder / "bars.parquet")
    for name, rows in tables.items():
        rows.write_parquet(folder / f"{name}.parquet")
    return files_settings(folder / "bars.parquet")


def files_settings(path: Path, *overrides: str, tables: tuple[str, ...] = BESIDE) -> Settings:
    """The tiny preset on a file of bars, with tables beside it in files of their own names."""
    beside = ", ".join(f"{name}: {name}.parquet" for name in tables)
    source = f"source={{kind: files, path: {path}, tables: {{{beside}}}}}"
    return presets.load(TINY, [source, "calendar.exchange=from_data", "calendar.close=15:00", *overrides])
