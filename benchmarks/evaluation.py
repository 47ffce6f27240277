"""Seconds and memory of ``gogooku evaluate``: 5 million predictions, 2,000 names by 2,500 days.

``python -m benchmarks.evaluation [--quick] [--json OUT]``. Two files are judged, each by the command itself in a
process of its own: one against the labels and the market of a home (correlations, books, random rankings, page), one
that brings its labels and has no market. The target is 20 s and 4 GiB on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.portfolio import FULL, QUICK, tables
from model.store.manifest import Identity
from model.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
HORIZON = 5


def run(quick: bool) -> dict[str, Any]:
    """Seconds (wall and processor) and peak memory of each evaluation."""
    days, names = QUICK if quick else FULL
    figures: dict[str, Any] = {"predictions": days * names}
    with tempfile.TemporaryDirectory(prefix="gogooku-bench-") as work:
        folder = Path(work)
        with_home, alone = prepare(folder, days, names)
        for name, file, home in (("home", with_home, "home"), ("file", alone, "nothing")):
            figures[name] = evaluate(file, folder / home, folder / f"out-{name}")
    return figures


def prepare(folder: Path, days: int, names: int) -> tuple[Path, Path]:
    """A home with labels and market, a file of predictions for it, and one with labels of its own."""
    market, predictions, _ = tables(days, names)
    returns = market["return_next"].to_numpy().reshape(days, names)
    ahead = np.full_like(returns, np.nan)
    growth = np.cumsum(np.log1p(returns), axis=0)
    ahead[: days - HORIZON] = np.expm1(
        growth[HORIZON - 1 : days - 1] - np.vstack([np.zeros(names), growth[: days - HORIZON - 1]])
    )
    label = pl.Series("label", ahead.ravel()).fill_nan(None)
    labels = market.with_columns(label.alias(f"target_{HORIZON}"), close="price", InUniverse=pl.lit(True))
    store = Store(folder / "home")
    with store.writer("quality_features", None, Identity(inputs={}, code_version="c", settings_hash="s")) as w:
        for (month,), part in labels.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
            w.table(f"labels/{month}.parquet", part, key=("Date", "Code"))
    with_home, alone = folder / "predictions.parquet", folder / "labelled.parquet"
    predictions = predictions.rename({"score": "prediction"})
    predictions.write_parquet(with_home)
    predictions.with_columns(label).write_parquet(alone)
    return with_home, alone


def evaluate(file: Path, home: Path, out: Path) -> dict[str, Any]:
    """Run the command and measure it.

    Raises:
        subprocess.CalledProcessError: it did not succeed (its own message is on stderr).
    """
    code = "import sys; from gogooku_dagster.cli.main import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        code,
        "evaluate",
        str(file),
        "--config",
        "us_equities",
        "--out",
        str(out),
        "--json",
    ]
    started = time.perf_counter()
    with (out.parent / f"{out.name}.json").open("wb") as document:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "GOGOOKU_HOME": str(home)}, stdout=document)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    report = json.loads((out.parent / f"{out.name}.json").read_text(encoding="utf-8"))
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_gib": round(used.ru_maxrss / 2**20, 2),
        "page_mib": round((out / "report.html").stat().st_size / 2**20, 2),
        "random_draws": report["config"]["random_draws"],
        "rank_ic": round(report["headline"][0]["rank_ic"]["value"], 5),
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small market")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures = run(options.quick)
    text = json.dumps(figures, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
