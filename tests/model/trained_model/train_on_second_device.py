"""Trainings on the second device and on the CPU, compared; what was found goes to standard output as JSON."""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model.trained_model.inference import predict
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, TrainingStoppedError, TrainResult
from model.trained_model.session import train_here
from tests.model.trained_model.conftest import panel_with
from tests.model.trained_model.second_device import DEVICE, OPERATIONS, OnSecondDevice, There
from tests.model.trained_model.support import LOOKBACK, NETWORK, SHORT

CPU = torch.device("cpu")
PANEL = panel_with()
NETWORKS = {
    "as it is": NETWORK,
    "fast": replace(NETWORK, variable_selection=False, recurrence="min_gru", direct=False),
    "papers": replace(NETWORK, vsn_transform="grn", adaptive_norm="san", fusion="concatenation", lstm_layers=2),
}


def trained(
    network: NetworkConfig, device: torch.device, callbacks: Callbacks | None = None, reduced: bool = False
) -> TrainResult:
    """A short training."""
    fabric = OnSecondDevice(device, reduced)
    return train_here(fabric, PANEL, network, SHORT, lookback=LOOKBACK, seed=5, callbacks=callbacks or Callbacks())


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    """The kept weights; a result holds them on the CPU."""
    assert not any(isinstance(value, There) for value in result.state.values())
    return result.state


def apart(first: TrainResult, second: TrainResult) -> float:
    """The largest difference between two trainings' weights."""
    pairs = zip(weights(first).values(), weights(second).values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def resumed() -> TrainResult:
    """A training stopped in the middle of its second epoch, and continued."""
    answers: Iterator[bool] = iter([*[False] * 7, True])
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained(NETWORK, DEVICE, Callbacks(checkpoint_dir=Path(folder), should_stop=lambda: next(answers)))
        except TrainingStoppedError:
            return trained(NETWORK, DEVICE, Callbacks(checkpoint_dir=Path(folder)))
    raise AssertionError("the training was not stopped")


def operations(names: int) -> int:
    """Operations of an epoch of two steps with this many names."""
    panel = panel_with(days=26, names=names)
    once = replace(SHORT, days_per_batch=6, phases=(replace(SHORT.phases[0], epochs=1),))
    OPERATIONS.clear()
    train_here(OnSecondDevice(DEVICE), panel, NETWORK, once, lookback=LOOKBACK, seed=5, callbacks=Callbacks())
    return OPERATIONS.total()


def main() -> None:
    """Everything once."""
    here = {name: trained(network, CPU) for name, network in NETWORKS.items()}
    there = {name: trained(network, DEVICE) for name, network in NETWORKS.items()}
    points = [
        predict(PANEL, NETWORK, weights(here["as it is"]), PANEL.test, lookback=LOOKBACK, accelerator=device).point
        for device in ("cpu", "elsewhere:0")
    ]
    figures = {
        "weights": {name: apart(here[name], there[name]) for name in NETWORKS},
        "resumed": apart(there["as it is"], resumed()),
        "predictions": float(np.nanmax(np.abs(points[0] - points[1]))),
        "reduced": {name: trained(network, DEVICE, reduced=True).history[-1] for name, network in NETWORKS.items()},
        "full": {name: result.history[-1] for name, result in here.items()},
        "operations": [operations(30), operations(500)],
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
