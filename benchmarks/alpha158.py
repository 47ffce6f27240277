"""Alpha158 on the same bars by our engine and by pyqlib's handler: feature cells a second and core, and peak memory.

Each side runs in a process of its own on one core. pyqlib comes into an environment of its own the first time (it wants
other versions of much), and reads the bars from its own binary files; ours reads the panel of raw_dataset from Parquet.
pyqlib's handler holds the whole table; ours hands it on in blocks of names and days, which is why its memory does not
grow with their number. Reading the bars is part of both times; starting Python and importing is not. The rate is per
second of processor time, of all threads together, so that other work on the machine does not show in it.

``python -m benchmarks.alpha158 PANEL SAMPLE`` is our side.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from model.quality_features.alpha158.features import features
from model.quality_features.engine import compute_features, feature_plan
from model.quality_features.settings import FeatureSettings
from model.store.peak_memory import peak_memory_bytes, reset_peak_memory

ROOT = Path(__file__).resolve().parents[1]
QLIB_VERSION = "0.9.7"
FIELDS = {"open": "AdjOpen", "high": "AdjHigh", "low": "AdjLow", "close": "AdjClose", "volume": "AdjVolume"}
PANEL_COLUMNS = ["Date", "Code", *FIELDS.values(), "TurnoverValue", "Sector", "InUniverse"]
CODES_AT_A_TIME, DAYS_AT_A_TIME = 150, 500
SETTINGS = FeatureSettings(set="alpha158")
NAMES = tuple(feature.name for feature in features())


@dataclass(frozen=True)
class Side:
    """What one side took for all cells."""

    rows: int
    seconds: float
    processor_seconds: float
    peak_memory_bytes: int
    cells_per_core_second: float


def compare(panel: pl.DataFrame, work: Path) -> dict[str, Any]:
    """Both sides on a panel of raw_dataset (prices rounded to float32, in which Qlib stores them).

    Raises:
        subprocess.CalledProcessError: pyqlib could not be installed, or one of the sides failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    rounded = panel.with_columns(pl.col([*FIELDS.values(), "TurnoverValue"]).cast(pl.Float32).cast(pl.Float64))
    source = work / "panel.parquet"
    rounded.write_parquet(source)
    write_qlib_bars(rounded, work / "qlib_bars")
    python = qlib_environment(work / "qlib_environment")
    ours_sample, qlib_sample = work / "ours.csv", work / "qlib.csv"
    script = ROOT / "benchmarks" / "alpha158_qlib.py"
    qlib = _figures([str(python), str(script), str(work / "qlib_bars"), str(qlib_sample)])
    ours = _figures([sys.executable, "-m", "benchmarks.alpha158", str(source), str(ours_sample)])
    left, right = _side(ours), _side(qlib)
    return {
        "ours": left.__dict__,
        "pyqlib": right.__dict__ | {"versions": qlib["versions"]},
        "speed_ratio": left.cells_per_core_second / right.cells_per_core_second,
        "memory_ratio": left.peak_memory_bytes / right.peak_memory_bytes,
        "last_day_agreement": agreement(pl.read_csv(ours_sample), pl.read_csv(qlib_sample)),
    }


def _figures(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _side(figures: dict[str, Any]) -> Side:
    rows, processor = figures["rows"], figures["processor_seconds"]
    return Side(rows, figures["seconds"], processor, figures["peak_memory_bytes"], rows * len(NAMES) / processor)


def qlib_environment(folder: Path) -> Path:
    """The interpreter of an environment with pyqlib, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"pyqlib=={QLIB_VERSION}"], check=True)
    return python


def write_qlib_bars(panel: pl.DataFrame, folder: Path) -> None:
    """The bars in Qlib's layout: a calendar, a list of instruments, and for each field float32 from a first day on."""
    days = panel["Date"].unique().sort()
    (folder / "calendars").mkdir(parents=True, exist_ok=True)
    (folder / "instruments").mkdir(exist_ok=True)
    (folder / "calendars" / "day.txt").write_text("".join(f"{day}\n" for day in days), encoding="utf-8")
    vwap = pl.col("TurnoverValue") / pl.when(pl.col("AdjVolume") > 0).then("AdjVolume")
    rows = panel.with_columns(day=days.search_sorted(panel["Date"]), vwap=vwap).sort("Code", "Date")
    listed = []
    for (code,), bars in rows.group_by("Code", maintain_order=True):
        listed.append(f"{code}\t{bars['Date'][0]}\t{bars['Date'][-1]}\n")
        day = bars["day"].to_numpy()
        target = folder / "features" / str(code).lower()
        target.mkdir(parents=True, exist_ok=True)
        for field, column in {**FIELDS, "vwap": "vwap"}.items():
            values = np.full(int(day[-1] - day[0]) + 2, np.nan, dtype="<f4")
            values[0] = day[0]
            values[1 + day - day[0]] = bars[column].cast(pl.Float32).to_numpy()
            values.tofile(target / f"{field}.day.bin")
    (folder / "instruments" / "all.txt").write_text("".join(listed), encoding="utf-8")


def agreement(ours: pl.DataFrame, theirs: pl.DataFrame) -> float:
    """Share of the last day's cells that agree within 1 in 1,000 (pyqlib computes ratios in float32)."""
    both = ours.join(theirs, left_on="Code", right_on="instrument", suffix="_qlib")
    names = [name for name in ours.columns if name != "Code"]
    left = both.select(names).cast(pl.Float64).to_numpy()
    right = both.select(f"{name}_qlib" for name in names).cast(pl.Float64).to_numpy()
    near = np.isclose(left, right, rtol=1e-3, atol=1e-4, equal_nan=True)
    return float(near.mean())


def compute(path: Path) -> tuple[int, pl.DataFrame]:
    """Every name's features, a block at a time; the number of rows, and the last day's values."""
    panel = pl.read_parquet(path, columns=PANEL_COLUMNS)
    codes, days = panel["Code"].unique().sort(), panel["Date"].unique().sort().to_list()
    before = feature_plan(SETTINGS, NAMES).lookback_days - 1

    def block(own: pl.DataFrame, first: int) -> tuple[int, pl.DataFrame]:
        last = days[min(first + DAYS_AT_A_TIME, len(days)) - 1]
        bars = own.filter(pl.col("Date").is_between(days[max(first - before, 0)], last))
        found = compute_features(bars, SETTINGS, days[first], last, names=NAMES, threads=1)
        # gathered, because a filter's result may be a view that holds on to everything
        return found.height, found[(found["Date"] == days[-1]).arg_true()]

    rows, last_day = 0, []
    for start in range(0, len(codes), CODES_AT_A_TIME):
        group = codes[start : start + CODES_AT_A_TIME]
        own = panel.filter(pl.col("Code").is_between(pl.lit(group[0]), pl.lit(group[-1])))
        for first in range(0, len(days), DAYS_AT_A_TIME):
            found, newest = block(own, first)
            rows += found
            last_day.append(newest)
    return rows, pl.concat(last_day)


def main(arguments: Sequence[str]) -> int:
    """Our side: figures as one line of JSON."""
    panel, sample = map(Path, arguments)
    reset_peak_memory()
    before = peak_memory_bytes()
    started, processor = time.perf_counter(), time.process_time()
    rows, last_day = compute(panel)
    figures = {
        "rows": rows,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - processor,
        "peak_memory_bytes": peak_memory_bytes(),
        "peak_memory_before_bytes": before,
    }
    names = [name for name, dtype in last_day.schema.items() if dtype == pl.Float32]
    last_day.select("Code", *names).write_csv(sample)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
