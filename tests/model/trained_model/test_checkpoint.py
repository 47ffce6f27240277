"""A training that is stopped anywhere goes on to the same bits, and the weights of its best epochs are kept."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
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


def flipped(content: bytes, tensor: str) -> bytes:
    """A file with one bit of a tensor's first number changed."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    name = next(name for name in sorted(header) if name.startswith(tensor))
    place = 8 + size + header[name]["data_offsets"][0]
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"garbage" * 100,
        lambda content: flipped(content, "weights/"),
        lambda content: flipped(content, "optimizer/"),
        lambda content: content.replace(b'\\"halvings\\": 0', b'\\"halvings\\": 1'),
    ],
    ids=["truncated", "empty", "garbage", "weight", "optimiser", "state"],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_anew(
    panel: FoldPanel, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(TrainingStoppedError):
        trained(panel, TRAINING, Callbacks(should_stop=stop_after(6), checkpoint_dir=tmp_path))
    file = tmp_path / checkpoint.FILE
    content = file.read_bytes()
    assert damage(content) != content
    file.write_bytes(damage(content))
    with caplog.at_level(logging.WARNING):
        again = trained(panel, TRAINING, Callbacks(checkpoint_dir=tmp_path))
    assert f"{file} is damaged" in caplog.text and "from the beginning" in caplog.text
    assert (tmp_path / checkpoint.DAMAGED).read_bytes() == damage(content)
    assert state_hash(again.state) == state_hash(trained(panel, TRAINING).state)
    checkpoint.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.BEST]


def test_a_checkpoint_that_cannot_be_written_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=rf"written to {folder}.*Free space there"):
        checkpoint.save(folder, "key", {"weight": torch.ones(3)}, {})


def test_a_checkpoint_that_cannot_be_opened_is_left_where_it_is(tmp_path: Path) -> None:
    (tmp_path / checkpoint.FILE).mkdir()
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.load(tmp_path, "key")
    assert (tmp_path / checkpoint.FILE).is_dir()


def test_what_a_killed_write_left_is_removed_by_the_next(tmp_path: Path) -> None:
    for name in (f".{checkpoint.FILE}.1", ".tmpAbCdEf"):
        (tmp_path / name).write_bytes(b"half")
    checkpoint.save(tmp_path, "key", {"weight": torch.ones(3)}, {})
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_a_full_disk_leaves_the_last_checkpoint_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, "key", {"weight": torch.ones(3)}, {"at": 1})

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        checkpoint.save(tmp_path, "key", {"weight": torch.zeros(3)}, {"at": 2})
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]
    found = checkpoint.load(tmp_path, "key")
    assert found is not None and found[1] == {"at": 1}
