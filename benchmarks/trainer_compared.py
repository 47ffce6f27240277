"""An epoch of our temporal encoder and graph against an epoch of pyqlib's GATs and ALSTM (``*_ts``), one thread each.

Equal lookback, width, days, names and features; random numbers. What runs on each side:

* ours: every train day once through ``train``: batch cutting, graph attention over each name's ten neighbours, heads,
  all losses, AdamW, in the forms of ``FORMS``. The adaptive normalisation is off. The epoch's validation is left out.
* pyqlib: ``train_epoch`` of its classes (see :mod:`benchmarks.trainer_qlib`), with the work of its loader and without.

pyqlib lives in an environment of its own, made the first time. Times are processor seconds; the least of some epochs.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.alpha158 import qlib_environment
from benchmarks.trainer_clock import clocked
from benchmarks.trainer_panel import synthetic_panel
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.network.config import NetworkConfig
from model.trained_model.trainer import train

ROOT = Path(__file__).resolve().parents[1]
FASTER = 3.0
"""The target: times faster than each."""
EPOCHS = 5
FORMS: dict[str, dict[str, Any]] = {
    "variable selection, LSTM": {},
    "variable selection, LSTM of 2 layers": {"lstm_layers": 2},
    "LSTM alone": {"variable_selection": False, "direct": False},
    "minGRU alone": {"variable_selection": False, "direct": False, "recurrence": "min_gru"},
    "minGRU of 2 layers alone": {
        "variable_selection": False,
        "direct": False,
        "recurrence": "min_gru",
        "lstm_layers": 2,
    },
}
"""Our forms, all with attention over days and the graph. "Alone": one linear map instead of variable selection, and no
direct path; the target's "temporal encoder and graph on, other parts off" is that of these that is fastest."""
TARGET = "minGRU alone"
"""The form that the target is held against."""


def compare(work: Path, quick: bool) -> dict[str, Any]:
    """Both sides on the same sizes.

    Raises:
        subprocess.CalledProcessError: pyqlib could not be installed, or one of the sides failed.
    """
    sizes = {"names": 100 if quick else 300, "days": 8 if quick else 20, "features": 20, "lookback": 20, "hidden": 64}
    work.mkdir(parents=True, exist_ok=True)
    python = qlib_environment(work / "qlib_environment")
    torch_version = torch.__version__.partition("+")[0]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"torch=={torch_version}"], check=True)
    panel = synthetic_panel(
        train_days=sizes["days"],
        names=sizes["names"],
        features=sizes["features"],
        lookback=sizes["lookback"],
        horizons=(1,),
        validation_days=0,
    )
    arrays = work / "trainer.npz"
    np.savez(arrays, x=panel.x, y=panel.y[:, :, 0], lookback=sizes["lookback"], hidden=sizes["hidden"])
    theirs = _figures([str(python), str(ROOT / "benchmarks" / "trainer_qlib.py"), str(arrays)])
    ours = {
        form: _figures([sys.executable, "-m", "benchmarks.trainer_compared", json.dumps(sizes | {"network": changes})])[
            "epoch_seconds"
        ]
        for form, changes in FORMS.items()
    }
    ratios = {
        form: {
            f"{model}_{part}": theirs[model][part] / seconds
            for model in ("gats", "alstm")
            for part in ("with_loader", "without_loader")
        }
        for form, seconds in ours.items()
    }
    return {"sizes": sizes, "ours": ours, "pyqlib": theirs, "times_faster": ratios}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Lines of the table: what, figure, target (of the one form that has one)."""
    return [
        (
            f"{form}: pyqlib's {name.replace('_', ', ', 1).replace('_', ' ')}",
            f"{ratio:.2f} x",
            f">= {FASTER:.0f} x" if form == TARGET else "",
        )
        for form, ratios in figures["times_faster"].items()
        for name, ratio in ratios.items()
    ]


def _figures(command: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(arguments: Sequence[str]) -> int:
    """Our side: processor seconds of an epoch as one line of JSON."""
    sizes = json.loads(arguments[0])
    panel = synthetic_panel(
        train_days=sizes["days"],
        names=sizes["names"],
        features=sizes["features"],
        lookback=sizes["lookback"],
        horizons=(1,),
    )
    hidden = sizes["hidden"]
    network = NetworkConfig(hidden=hidden, gat_hidden=hidden, adaptive_norm="none", dropout=0.0, **sizes["network"])
    config = TrainingConfig(
        phases=(PhaseConfig(name="all", epochs=EPOCHS, lr=1e-3, patience=EPOCHS),), days_per_batch=4, accelerator="cpu"
    )
    torch.set_num_threads(1)
    with clocked() as laps:
        train(panel, network, config, lookback=sizes["lookback"], seed=1)
    steps = len(laps.step) // EPOCHS
    epochs = [sum(laps.step[start : start + steps]) for start in range(0, len(laps.step), steps)]
    print(json.dumps({"samples": sizes["days"] * sizes["names"], "epoch_seconds": min(epochs)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
