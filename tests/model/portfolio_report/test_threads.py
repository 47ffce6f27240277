"""Figures of the report are the same to the last digit however many threads polars has."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DECILES = """
from types import SimpleNamespace

import numpy as np
import polars as pl

from model.metrics.bootstrap import Resampler
from model.portfolio_report.settings import PortfolioSettings
from model.portfolio_report.tables import deciles

days, excess = np.repeat(np.arange(500), 10), np.random.default_rng(0).normal(size=5000)
columns = {"Date": days, "decile": np.tile(np.arange(1, 11), 500), "excess": excess}
table = pl.DataFrame(columns).with_columns(model=pl.lit("ridge"), horizon=pl.lit(1))
rows = table.select("Date", "model", "horizon").unique()
daily = SimpleNamespace(models=("ridge",), deciles=table, table=rows)
print(deciles(daily, PortfolioSettings(headline_horizon=1), Resampler(20, seed=0)))
"""


def test_the_number_of_threads_moves_no_digit_of_the_deciles() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DECILES],
            cwd=ROOT,
            env={**os.environ, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(found) == 1
