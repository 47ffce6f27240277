"""Killed in the middle of a training and started again, the command goes on where it was, to the very same bits.

What is killed is a process of its own; it is started again in this one, which is another.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model.store.store import Store
from tests.conftest import copy_of
from tests.e2e.conftest import Place
from tests.gogooku_dagster.cli.bars import TINY_BARS
from tests.gogooku_dagster.cli.inside import inside

pytestmark = pytest.mark.e2e

FOLD = "wf_2019q2"
TRAINING = (
    "folds.periods=[2019q2]",
    "training.phases=[{name: whole, epochs: 6, patience: 6, lr: 0.002, adaptive_norm: true, graph: true}]",
    "training.guards.degenerate=flag",
)
GOGOOKU = str(Path(sys.executable).with_name("gogooku"))


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command of its own process, whose lines on standard error can be read as they come."""
    return subprocess.Popen(
        [GOGOOKU, *arguments],
        cwd=home.parent,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=Place(home).environment,
        text=True,
    )


def training() -> tuple[str, ...]:
    """The command for the training alone; what it reads lies in the home."""
    overrides = (word for each in TRAINING for word in ("--set", each))
    return ("run", "--config", str(TINY_BARS), "--select", "trained_model", *overrides)


def kill_after_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith(FOLD) and f"epoch {epoch}" in line:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
            process.stderr.close()
            return
    pytest.fail(f"the training ended before epoch {epoch}")


def test_a_killed_training_resumes_and_ends_with_the_bits_of_an_uninterrupted_one(
    prepared: Path, tmp_path: Path
) -> None:
    killed, whole = (copy_of(prepared, tmp_path / name) for name in ("killed", "whole"))
    kill_after_epoch(start(killed, *training()), 3)
    assert Store(killed).manifest("trained_model", FOLD) is None
    again = inside(killed, *training())
    assert again.status == 0, again.err
    epochs = [line for line in again.err.splitlines() if line.strip().startswith(FOLD)]
    assert epochs and not any("epoch 1 " in line or "epoch 2 " in line for line in epochs), "it began anew"
    uninterrupted = inside(whole, *training())
    assert uninterrupted.status == 0, uninterrupted.err
    hashes = [Store(home).require("trained_model", FOLD).content_hash for home in (killed, whole)]
    assert hashes[0] == hashes[1]
    assert not list((killed / "artifacts").glob("*/.staging-*"))


def test_a_second_command_in_the_same_home_is_refused_while_the_first_computes(tmp_path: Path) -> None:
    command = ("run", "--config", str(TINY_BARS), "--until", "raw_dataset")
    first = start(tmp_path / "home", *command)
    assert first.stderr is not None
    for line in first.stderr:
        if line.strip().startswith("daily_quotes"):  # some of the days, while the others are still to come
            break
    second = start(tmp_path / "home", *command)
    message = second.communicate(timeout=60)[1]
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert f"process {first.pid}" in message
