"""The trained network's artefact and the predictions made from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from model.atft_tensors import stage as tensors
from model.atft_tensors.panel import load_panel
from model.errors import TrainingError
from model.store.stage import StageEvents
from model.trained_model import checkpoint
from model.trained_model import checks as model_checks
from model.trained_model import stage as model
from model.trained_model.config import GuardConfig
from model.trained_model.results import TrainingStoppedError
from model.validation_predictions import calibration, checks, stage
from model.validation_predictions.settings import PredictionSettings
from model.validation_predictions.stage import quantile_name
from model.walk_forward_folds.fold import Fold


def _predictions(upstream: Any) -> pl.DataFrame:
    return upstream.store.read_table(stage.ASSET, stage.PREDICTIONS, "wf_a")


def test_predictions_cover_the_members_of_the_test_days_with_their_labels(trained: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    found = _predictions(trained)
    assert found.columns == [
        "Date", "Code", "horizon", "prediction", "q05", "q50", "q95", "label", "resolved", "oracle",
    ]  # fmt: skip
    assert found.schema["horizon"] == pl.Int32
    members = trained.features.filter(pl.col("InUniverse") & pl.col("Date").is_in(trained.days[34:40]))
    assert found.height == 2 * members.height
    labels = trained.labels.filter(pl.col("Date").is_in(trained.days[34:40]))
    for horizon in (1, 5):
        joined = found.filter(pl.col("horizon") == horizon).join(labels, on=["Date", "Code"])
        assert joined["label"].equals(joined[f"target_{horizon}"].alias("label"))
        assert joined["resolved"].equals(joined[f"resolved_{horizon}"].alias("resolved"))
        assert joined["oracle"].equals(joined[f"oracle_{horizon}"].alias("oracle"))
    assert (found["q05"] <= found["q50"]).all()
    assert (found["q50"] <= found["q95"]).all()


@pytest.mark.parametrize("history", [4, 120])
def test_the_market_table_has_a_history_and_reaches_to_the_end_of_the_window_and_no_further(
    trained: Any, monkeypatch: pytest.MonkeyPatch, history: int
) -> None:
    monkeypatch.setattr(stage, "HISTORY_DAYS", history)
    stage.materialise(trained.run("wf_a"))
    market = trained.store.read_table(stage.ASSET, stage.MARKET, "wf_a")
    window = Fold.load(trained.store, "wf_a").window_dates
    assert market["Date"].min() == (trained.days[34 - history] if history == 4 else window[0])
    assert market["Date"].max() == trained.days[44]
    assert market["Code"].n_unique() == 26


def test_all_checks_pass_on_a_sound_fold(trained: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    for check in (*model_checks.CHECKS, *checks.CHECKS):
        outcome = check.run(trained.store, trained.settings, "wf_a")
        # Coverage on a few test days of a network of a few steps is chance; that check only warns.
        assert outcome.passed or check.name == "calibration", (check.name, outcome)


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        (checks.check_coverage, lambda frame: frame.head(frame.height - 3)),
        (checks.check_prediction_std, lambda frame: frame.with_columns(prediction=pl.lit(0.1))),
        (checks.check_prediction_std, lambda frame: frame.with_columns(prediction=pl.lit(float("nan")))),
        (checks.check_quantiles, lambda frame: frame.with_columns(q05=pl.col("q95") + 1.0)),
        (checks.check_dates, lambda frame: frame.with_columns(pl.col("Date").dt.offset_by("40d"))),
    ],
)
def test_checks_find_damaged_predictions(trained: Any, check: Any, damage: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    frame = damage(_predictions(trained))
    with trained.store.writer(stage.ASSET, "wf_a", trained.run("wf_a").identity) as w:
        w.table(stage.PREDICTIONS, frame, key=stage.KEY)
    assert not check(trained.store, trained.settings, "wf_a").passed


@pytest.mark.parametrize(("degenerate", "severity"), [("flag", "warn"), ("stop", "error")])
def test_flat_predictions_are_only_a_warning_where_they_are_only_flagged(
    trained: Any, degenerate: Any, severity: str
) -> None:
    metrics = trained.store.read_json(model.ASSET, "metrics.json", "wf_a")
    kept = metrics["history"][metrics["best_epoch"] - 1]
    low = min((1, 5), key=lambda h: float(kept[f"val_std_ratio_{h}"]))
    limit = float(kept[f"val_std_ratio_{low}"])
    guards = GuardConfig(degenerate=degenerate, min_prediction_std=limit)
    trained.settings.training = replace(trained.settings.training, guards=guards)
    outcome = model_checks.check_not_degenerate(trained.store, trained.settings, "wf_a")
    assert not outcome.passed and outcome.severity == severity
    assert outcome.summary.endswith(f"not above training.guards.min_prediction_std {limit:g} on horizon {low}")
    trained.settings.training = replace(trained.settings.training, guards=replace(guards, min_prediction_std=0.0))
    assert model_checks.check_not_degenerate(trained.store, trained.settings, "wf_a").passed


def test_training_twice_gives_the_same_artefact(prepared: Any) -> None:
    first = model.materialise(prepared.run("wf_a"))
    assert model.materialise(prepared.run("wf_a")).content_hash == first.content_hash
    assert first.extra["epochs"] == 2


def test_a_stopped_training_is_continued_and_its_checkpoint_removed(prepared: Any, tmp_path: Path) -> None:
    whole = model.materialise(prepared.run("wf_a"))
    seen: list[int] = []
    folder = tmp_path / "checkpoints"
    events = StageEvents(lambda record: seen.append(int(record["epoch"])), lambda: len(seen) == 1, folder)
    with pytest.raises(TrainingStoppedError):
        model.materialise(prepared.run("wf_a", events=events))
    events = replace(events, should_stop=lambda: False)
    again = model.materialise(prepared.run("wf_a", events=events))
    assert seen == [1, 2]
    assert again.content_hash == whole.content_hash
    assert not list(folder.rglob(checkpoint.FILE))
    assert len(list(folder.rglob("epoch_*.safetensors"))) == 2


def test_what_finished_trainings_of_other_settings_left_is_removed(prepared: Any, tmp_path: Path) -> None:
    events = StageEvents(lambda record: None, lambda: False, tmp_path / "checkpoints")
    for name, file in (("finished", "best/epoch_0001.safetensors"), ("stopped", checkpoint.FILE)):
        path = events.checkpoint_dir / name / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    model.materialise(prepared.run("wf_a", events=events))
    left = sorted(path.name for path in events.checkpoint_dir.iterdir())
    assert "finished" not in left and "stopped" in left and len(left) == 2


def test_an_ensemble_is_one_artefact_and_predicts_the_mean_of_its_members(prepared: Any) -> None:
    model.materialise(prepared.run("wf_a"))
    alone = load_file(prepared.store.path(model.ASSET, "model.safetensors", "wf_a"))
    prepared.settings.training = replace(prepared.settings.training, ensemble=2)
    manifest = model.materialise(prepared.run("wf_a"))
    assert manifest.extra["members"] == 2
    assert {"model.safetensors", "model_1.safetensors"} <= set(manifest.files)
    first, second = stage.trained_members(prepared.store, "wf_a")
    assert all(torch.equal(first.state[name], value) for name, value in alone.items())
    assert not all(torch.equal(first.state[name], value) for name, value in second.state.items())
    metrics = prepared.store.read_json(model.ASSET, "metrics.json", "wf_a")
    assert len(metrics["history"]) == len(metrics["members"][0]["history"]) == 2
    stage.materialise(prepared.run("wf_a"))
    for check in (*model_checks.CHECKS, *checks.CHECKS):
        assert check.run(prepared.store, prepared.settings, "wf_a").passed, check.name


def test_quantiles_are_shifted_by_the_validation_days_and_the_point_is_not(trained: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    shifted = _predictions(trained)
    document = trained.store.read_json(stage.ASSET, stage.CALIBRATION, "wf_a")
    trained.settings.predictions = PredictionSettings(calibrate_quantiles=False)
    stage.materialise(trained.run("wf_a"))
    plain = _predictions(trained)
    assert shifted["prediction"].equals(plain["prediction"])
    for horizon in (1, 5):
        found = document["horizons"][str(horizon)]
        if found["validation_labels"] < calibration.FEWEST_LABELS:
            assert found["shift"] == [0.0] * 3
        assert found["after"]["below"]["0.5"]["n"] > 0
        moved = shifted.filter(pl.col("horizon") == horizon)["q50"] - plain.filter(pl.col("horizon") == horizon)["q50"]
        assert moved.to_numpy() == pytest.approx(found["shift"][1], abs=1e-6)


def test_labels_of_test_days_never_move_a_quantile(trained: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    before = _predictions(trained)
    panel = load_panel(trained.store.directory(tensors.ASSET, "wf_a"))
    y = panel.y.copy()
    y[panel.test] = 9.0
    raw = stage._predict(trained.run("wf_a"), "wf_a", panel)
    changed, _ = stage._calibrated(raw, replace(panel, y=y))
    quantiles = changed.quantiles[panel.member[panel.test]].reshape(-1, 3)
    assert sorted(map(tuple, quantiles.tolist())) == sorted(before.select("q05", "q50", "q95").rows())


def test_predicting_with_tensors_of_other_features_is_refused(trained: Any) -> None:
    trained.settings.tensors.features = ("rsi_14", "ret_1d")
    tensors.materialise(trained.run("wf_a"))
    with pytest.raises(TrainingError, match="trained on 2 features"):
        stage.materialise(trained.run("wf_a"))


def test_predictions_are_in_the_units_of_the_labels(trained: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    panel = load_panel(trained.store.directory(tensors.ASSET, "wf_a"))
    found = _predictions(trained)
    for horizon, scale in zip(panel.horizons, panel.target_scale, strict=True):
        spread = found.filter(pl.col("horizon") == horizon).select((pl.col("q95") - pl.col("q05")).mean()).item()
        assert 1 < spread / float(scale) < 6
    assert np.isfinite(found["prediction"].to_numpy()).all()


@pytest.mark.parametrize(("level", "name"), [(0.05, "q05"), (0.5, "q50"), (0.95, "q95"), (0.025, "q025"), (0.1, "q10")])
def test_quantile_columns_are_named_by_their_level(level: float, name: str) -> None:
    assert quantile_name(level) == name
