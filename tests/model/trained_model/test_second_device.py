"""The trainer on a device that is not the CPU, in a process of its own: what would fail on a GPU fails here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NETWORKS = ("as it is", "fast", "papers")


@pytest.fixture(scope="module")
def found() -> Any:
    """What ``train_on_second_device`` prints."""
    command = [sys.executable, "-m", "tests.model.trained_model.train_on_second_device"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_elsewhere_ends_with_the_weights_of_the_processor(found: Any, network: str) -> None:
    assert 0.0 < found["weights"][network] < 1e-4  # not the CPU's own kernels, and the same mathematics


def test_a_training_elsewhere_that_was_stopped_goes_on_as_if_it_had_not_been(found: Any) -> None:
    assert found["resumed"] == 0.0


def test_predictions_elsewhere_are_those_of_the_processor(found: Any) -> None:
    assert found["predictions"] < 1e-6


@pytest.mark.parametrize("network", NETWORKS)
def test_reduced_precision_elsewhere_moves_the_loss_a_little(found: Any, network: str) -> None:
    reduced, full = found["reduced"][network], found["full"][network]
    assert 0.0 < abs(reduced["loss"] - full["loss"]) < 0.05


def test_a_step_elsewhere_has_as_many_operations_whatever_the_names(found: Any) -> None:
    """Blocks are as large as a CPU's cache on a CPU alone; a GPU would wait for thousands of small operations."""
    few, many = found["operations"]
    assert few == many
