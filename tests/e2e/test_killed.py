"""Killed in the middle of a training and started again, the command goes on where it was, to the very same bits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model.store.store import Store
from tests.pipeline.support import TINY

pytestmark = pytest.mark.e2e

FOLD = "wf_2018q4"
PHASES = "[{name: whole, epochs: 8, lr: 0.002, adaptive_norm: true, graph: true}]"
COMMAND = [
    *(str(Path(sys.executable).with_name("gogooku")), "run", "--config", str(TINY), "--until", "trained_model"),
    *("--set", "folds.periods=[2018q4]", "--set", "source.end=2019-01-31", "--set", f"training.phases={PHASES}"),
]


def start(home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "GOGOOKU_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(COMMAND, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True)


def kill_after_epoch(process: subprocess.Popen[str], epoch: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith(FOLD) and f"epoch {epoch}" in line:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
            process.stderr.close()
            return
    pytest.fail(f"the training ended before epoch {epoch}")


def test_a_killed_training_resumes_and_ends_with_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    kill_after_epoch(start(tmp_path / "killed"), 3)
    assert Store(tmp_path / "killed").manifest("trained_model", FOLD) is None
    again = start(tmp_path / "killed")
    lines = (again.communicate(timeout=300)[1] or "").splitlines()
    assert again.returncode == 0
    epochs = [line for line in lines if line.strip().startswith(FOLD)]
    assert not any("epoch 1 " in line or "epoch 2 " in line for line in epochs), "it began anew instead of resuming"
    whole = start(tmp_path / "whole")
    assert whole.communicate(timeout=300) and whole.returncode == 0
    hashes = [Store(tmp_path / home).require("trained_model", FOLD).content_hash for home in ("killed", "whole")]
    assert hashes[0] == hashes[1]
    assert not list((tmp_path / "killed" / "artifacts").glob("*/.staging-*"))


def test_a_second_command_in_the_same_home_is_refused_while_the_first_computes(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("daily_quotes"):
            break
    second = start(tmp_path)
    message = second.communicate(timeout=60)[1]
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert f"process {first.pid}" in message
