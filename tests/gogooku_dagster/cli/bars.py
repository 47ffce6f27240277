"""Plain bars of one's own, and the command on a storage root of one's own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests" / "presets" / "tiny.yaml"
TINY_BARS = TINY.with_name("tiny_bars.yaml")
ODD_CODES = ("NA", "TRUE", "ON", "0013", "130A0")
"""Codes that a careless reader takes for missing, for a truth value or for a number."""
CODES = (*ODD_CODES, *(f"S{number:03d}" for number in range(20)))


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def paragraph(self) -> str:
        """Standard error as one line of words."""
        return " ".join(self.err.split())


def weekdays(count: int, start: date = date(2020, 1, 6)) -> list[date]:
    """The first weekdays from a day on."""
    days = (start + timedelta(days=number) for number in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def bars(days: int = 70, codes: tuple[str, ...] = CODES) -> pl.DataFrame:
    """Bars sorted by code and date, whose prices move a little."""
    rows = [
        {
            "Date": day,
            "Code": code,
            "Open": 10.0 + name,
            "High": 12.0 + name,
            "Low": 9.0 + name,
            "Close": 10.5 + name + ((3 * name + 5 * place) % 11) / 10,
            "Volume": 1000 * name + 100 + place,
        }
        for name, code in enumerate(codes)
        for place, day in enumerate(weekdays(days))
    ]
    return pl.DataFrame(rows)


def write(path: Path, frame: pl.DataFrame) -> Path:
    """A CSV or a Parquet file, by its ending."""
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def installed(home: Path, *arguments: str, folder: Path | None = None) -> Result:
    """Run the installed console script, from a folder that is not the checkout."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("GOGOOKU_CONFIG", "DAGSTER_HOME", "FORCE_COLOR")
    }
    script = Path(sys.executable).with_name("gogooku")
    done = subprocess.run(
        [str(script), *arguments],
        cwd=folder or home.parent,
        env={**kept, "GOGOOKU_HOME": str(home), "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    return Result(done.returncode, done.stdout, done.stderr)
