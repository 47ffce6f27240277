"""Materialise a fold's predictions: what the network says on the test days, with labels, and the market it trades in.

Only predictions of test days are stored, so every row is out of fold. ``prediction`` and the quantiles are in the units
of the labels, as an excess over the mean of the day's names. Quantiles are calibrated on the validation days.
"""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from safetensors.torch import load_file

from model.atft_tensors.panel import FoldPanel, load_panel
from model.atft_tensors.stage import ASSET as TENSORS
from model.atft_tensors.stage import shard_directory
from model.errors import TrainingError
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.trained_model.artefact import ASSET as MODEL
from model.trained_model.artefact import CONFIG
from model.trained_model.ensemble import Member, predict_ensemble
from model.trained_model.inference import Predictions
from model.trained_model.network.atft_gat_fan import PhaseSwitches
from model.trained_model.network.config import LEVEL_DIGITS
from model.trained_model.served import network_config
from model.validation_predictions import calibration
from model.validation_predictions.artefact import (
    ASSET,
    CALIBRATION,
    HISTORY_DAYS,
    KEY,
    MARKET,
    MARKET_COLUMNS,
    PREDICTIONS,
)
from model.walk_forward_folds.fold import Fold

_LABELS = "quality_features"
_EPOCH = date(1970, 1, 1)


def materialise(run: StageRun) -> Manifest:
    """Predict the test days of the fold that ``run.partition`` names.

    Raises:
        StoreError: an input is not materialised or was altered.
        TrainingError: the network was trained on other features than the tensors hold.
    """
    if run.partition is None:
        raise ValueError("validation_predictions is computed for one fold at a time")
    store, name = run.store, run.partition
    fold = Fold.load(store, name)
    panel = load_panel(store.directory(TENSORS, name), shard_directory(store))
    raw = _predict(run, name, panel)
    found, document = _calibrated(raw, panel) if run.settings.predictions.calibrate_quantiles else (raw, None)
    before = max(fold.window_dates.index(fold.test_start) - HISTORY_DAYS, 0)
    labels = store.read_chunks(_LABELS, "labels", start=fold.window_dates[before], end=fold.window_end)
    table = prediction_table(found, panel, labels)
    with run.writer(ASSET) as w:
        w.table(PREDICTIONS, table, key=KEY)
        w.table(MARKET, labels.select(MARKET_COLUMNS).sort("Date", "Code"), key=("Date", "Code"))
        w.json(CALIBRATION, document or {"levels": list(found.levels), "calibrated": False})
        w.extra |= {"days": len(found.days), "rows": table.height, "first": str(fold.test_start)}
        w.extra |= _coverage_figures(document) if document else {}
    return w.manifest


def _calibrated(raw: Predictions, panel: FoldPanel) -> tuple[Predictions, dict[str, Any]]:
    """The test days' predictions with quantiles shifted by what the validation days say, and how well that worked.

    Args:
        raw: predictions of the validation days, then of the test days.
    """
    validation, test = _days(raw, 0, len(panel.validation)), _days(raw, len(panel.validation), len(raw.days))
    shifts = calibration.fit(validation, calibration.excess_returns(panel, panel.validation))
    found = calibration.apply(test, shifts)
    truth = calibration.excess_returns(panel, panel.test)
    before = calibration.coverage(test, truth, panel.horizons)
    after = calibration.coverage(found, truth, panel.horizons)
    document: dict[str, Any] = {
        "calibrated": True,
        "levels": list(raw.levels),
        "validation_days": shifts.days,
        "horizons": {
            str(horizon): {
                "validation_labels": int(shifts.labels[h]),
                "shift": [float(value) for value in shifts.shift[h]],
                "before": before[str(horizon)],
                "after": after[str(horizon)],
            }
            for h, horizon in enumerate(panel.horizons)
        },
    }
    return found, document


def _days(found: Predictions, start: int, end: int) -> Predictions:
    part = slice(start, end)
    return replace(found, days=found.days[part], point=found.point[part], quantiles=found.quantiles[part])


def _coverage_figures(document: dict[str, Any]) -> dict[str, float | int]:
    """The widest interval of each horizon, flat: what it should hold, and what it holds on the test days."""
    levels = document["levels"]
    figures: dict[str, float | int] = {"coverage/nominal": levels[-1] - levels[0]}
    for horizon, found in document["horizons"].items():
        for when in ("before", "after"):
            share = found[when]["inside"]
            if share is not None:
                figures[f"coverage/{horizon}d_{when}"] = share["value"]
                figures[f"coverage/{horizon}d_days"] = share["n"]
            if share is not None and share["interval"] is not None:
                low, high = share["interval"]
                figures |= {f"coverage/{horizon}d_{when}_low": low, f"coverage/{horizon}d_{when}_high": high}
    return figures


def prediction_table(found: Predictions, panel: FoldPanel, labels: pl.DataFrame) -> pl.DataFrame:
    """Predictions as rows, one a day, code and horizon, with the label and the day on which it resolved.

    Args:
        labels: Date, Code, target_{h}, resolved_{h} and oracle_{h} (the oracle only on a simulated market).
    """
    member = panel.member[found.days]
    day, code = np.nonzero(member)
    dates = np.array([_EPOCH + timedelta(days=int(number)) for number in panel.dates[found.days]], "datetime64[D]")
    base: dict[str, Any] = {"Date": dates[day], "Code": np.array(panel.codes)[code]}
    frames = []
    for position, horizon in enumerate(panel.horizons):
        columns = {
            "prediction": found.point[day, code, position].astype(np.float64),
            **{
                quantile_name(level): found.quantiles[day, code, position, q].astype(np.float64)
                for q, level in enumerate(found.levels)
            },
        }
        rows = pl.DataFrame({**base, **columns}).with_columns(
            pl.col("Date").cast(pl.Date), pl.lit(horizon, pl.Int32).alias("horizon")
        )
        frames.append(rows.join(_labels_of(labels, horizon), on=["Date", "Code"], how="left"))
    order = ["Date", "Code", "horizon", "prediction", *map(quantile_name, found.levels), "label", "resolved", "oracle"]
    return pl.concat(frames).select(order).sort(KEY)


def quantile_name(level: float) -> str:
    """Column of a quantile: 0.05 is ``q05``, 0.025 is ``q025``."""
    return f"q{f'{level:.{LEVEL_DIGITS}f}'[2:].rstrip('0').ljust(2, '0')}"


def _labels_of(labels: pl.DataFrame, horizon: int) -> pl.DataFrame:
    oracle = f"oracle_{horizon}"
    return labels.select(
        "Date",
        "Code",
        pl.col(f"target_{horizon}").cast(pl.Float64).alias("label"),
        pl.col(f"resolved_{horizon}").alias("resolved"),
        (pl.col(oracle).cast(pl.Float64) if oracle in labels.columns else pl.lit(None, pl.Float64)).alias("oracle"),
    )


def _predict(run: StageRun, name: str, panel: FoldPanel) -> Predictions:
    """Predictions of the test days; where quantiles are calibrated, of the validation days before them."""
    config = trained_config(run.store, name)
    if config["feature_hash"] != json_hash(list(panel.features)):
        raise TrainingError(
            f"The network of {name} was trained on {len(config['features'])} features and the tensors hold "
            f"{len(panel.features)} others, or in another order. Run `gogooku refresh` to train it again."
        )
    members = trained_members(run.store, name)
    calibrate = run.settings.predictions.calibrate_quantiles
    days = np.concatenate([panel.validation, panel.test]) if calibrate else panel.test
    steps = len(members) * len(days)
    return predict_ensemble(
        panel,
        network_config(config),
        members,
        days,
        lookback=config["lookback"],
        threads=run.settings.training.threads,
        on_day=lambda done: run.progress(done, steps, "days predicted"),
    )


def trained_members(store: Store, fold: str) -> list[Member]:
    """The networks of a fold: one, or the members of an ensemble."""
    return [
        Member(load_file(store.path(MODEL, entry["weights"], fold)), PhaseSwitches(**entry["switches"]))
        for entry in trained_config(store, fold)["members"]
    ]


def trained_config(store: Store, fold: str) -> dict[str, Any]:
    """The configuration that a fold's network was trained with."""
    document: dict[str, Any] = store.read_json(MODEL, CONFIG, fold)
    return document
