"""The trained network's artefact and the predictions made from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.atft_tensors import stage as tensors
from model.atft_tensors.panel import load_panel
from model.errors import TrainingError
from model.store.stage import StageEvents
from model.trained_model import checks as model_checks
from model.trained_model import stage as model
from model.trained_model.results import TrainingStoppedError
from model.validation_predictions import checks, stage
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
        assert outcome.passed, (check.name, outcome)


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        (checks.check_coverage, lambda frame: frame.head(frame.height - 3)),
        (checks.check_prediction_std, lambda frame: frame.with_columns(prediction=pl.lit(0.1))),
        (checks.check_prediction_std, lambda frame: frame.with_columns(prediction=pl.lit(float("nan")))),
        (checks.check_dates, lambda frame: frame.with_columns(pl.col("Date").dt.offset_by("40d"))),
    ],
)
def test_checks_find_damaged_predictions(trained: Any, check: Any, damage: Any) -> None:
    stage.materialise(trained.run("wf_a"))
    frame = damage(_predictions(trained))
    with trained.store.writer(stage.ASSET, "wf_a", trained.run("wf_a").identity) as w:
        w.table(stage.PREDICTIONS, frame, key=stage.KEY)
    assert not check(trained.store, trained.settings, "wf_a").passed


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
    assert not list(folder.rglob("*.safetensors"))


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
