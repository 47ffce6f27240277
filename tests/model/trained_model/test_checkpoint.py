"""A training that is stopped anywhere goes on to the same bits, and the weights of its best epochs are kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from model.atft_tensors.panel import FoldPanel
from model.trained_model import checkpoint
from model.trained_model.results import Callbacks, Record, TrainingStoppedError
from tests.model.trained_model.support import TRAINING, figures, state_hash, trained

LAYERED = replace(TRAINING, ema_decay=0.8, layerwise_decay=0.9)


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def stop_after(steps: int) -> Callable[[], bool]:
    """Says stop before the step that comes after so many."""
    left = iter([False] * steps)
    return lambda: next(left, True)


@pytest.mark.parametrize("steps", [1, 8, 13, 17])
def test_a_stop_at_any_step_is_continued_at_that_step_and_ends_with_the_same_bits(
    panel: FoldPanel, tmp_path: Path, steps: int
) -> None:
    whole = trained(panel, LAYERED)
    with pytest.raises(TrainingStoppedError):
        trained(panel, LAYERED, Callbacks(should_stop=stop_after(steps), checkpoint_dir=tmp_path))
    taken = [0]

    def count() -> bool:
        taken[0] += 1
        return False

    continued = trained(panel, LAYERED, Callbacks(should_stop=count, checkpoint_dir=tmp_path))
    assert taken[0] == len(whole.rates) - steps
    assert state_hash(continued.state) == state_hash(whole.state)
    assert figures(continued.history) == figures(whole.history)
    assert continued.rates == whole.rates


def test_a_kill_inside_an_epoch_loses_no_more_than_the_steps_since_the_last_checkpoint(
    panel: FoldPanel, tmp_path: Path
) -> None:
    often = replace(LAYERED, checkpoint_minutes=0.0)
    whole = trained(panel, often)

    class KilledError(Exception):
        pass

    polls = stop_after(4)

    def die() -> bool:
        if polls():
            raise KilledError
        return False

    with pytest.raises(KilledError):
        trained(panel, often, Callbacks(should_stop=die, checkpoint_dir=tmp_path))
    _, state = checkpoint.load(tmp_path, _key(tmp_path)) or ({}, {})
    assert state["done"] == 4 and state["total"] == 0
    continued = trained(panel, often, Callbacks(checkpoint_dir=tmp_path))
    assert state_hash(continued.state) == state_hash(whole.state)


def _key(directory: Path) -> str:
    with safe_open(directory / checkpoint.FILE, framework="pt") as stream:
        return str(stream.metadata()["key"])


def test_how_often_a_checkpoint_is_written_changes_neither_its_key_nor_the_weights(
    panel: FoldPanel, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStoppedError):
        trained(panel, TRAINING, Callbacks(should_stop=stop_after(6), checkpoint_dir=tmp_path))
    other = replace(TRAINING, keep_checkpoints=1, checkpoint_minutes=0.0)
    assert state_hash(trained(panel, other, Callbacks(checkpoint_dir=tmp_path)).state) == state_hash(
        trained(panel, TRAINING).state
    )


def test_the_best_epochs_are_kept_with_their_figures_and_the_others_removed(panel: FoldPanel, tmp_path: Path) -> None:
    seen: list[Record] = []
    training = replace(TRAINING, keep_checkpoints=2)
    result = trained(panel, training, Callbacks(on_epoch=seen.append, checkpoint_dir=tmp_path))
    scores = {int(record["epoch"]): float(record["val_rank_ic"]) for record in seen}
    best = sorted(scores, key=lambda epoch: -scores[epoch])[:2]
    files = sorted((tmp_path / checkpoint.BEST).iterdir())
    assert files == sorted(checkpoint.epoch_file(tmp_path, epoch) for epoch in best)
    for path in files:
        with safe_open(path, framework="pt") as stream:
            record = json.loads(stream.metadata()["record"])
        assert record["val_rank_ic"] == scores[record["epoch"]]
    kept = load_file(checkpoint.epoch_file(tmp_path, result.best_epoch)) if result.best_epoch in best else None
    if kept is not None:
        assert all(torch.equal(kept[name], value) for name, value in result.state.items())


def test_equal_scores_keep_the_earlier_epoch() -> None:
    assert checkpoint.best_epochs([(0.1, 3), (0.2, 2), (0.1, 1)], 2) == [(0.2, 2), (0.1, 1)]
    assert checkpoint.best_epochs([(0.1, 3)], 0) == []
