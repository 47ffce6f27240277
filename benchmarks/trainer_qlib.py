"""An epoch of pyqlib's GATs and ALSTM on arrays given: processor seconds as one line of JSON.

Run by :mod:`benchmarks.trainer_compared` with the interpreter of an environment that has pyqlib and torch, and nothing
of ours: ``python trainer_qlib.py ARRAYS``, an ``npz`` file with ``x`` [days, names, features], ``y`` [days, names],
``lookback`` and ``hidden``. One process, one thread, no worker processes. The classes, their ``train_epoch``, their
optimiser and their sampler of windows (``TSDataSampler``, forward and backward filled) are pyqlib's; sizes that are
not given are those of its published benchmark (GATs over an LSTM, both of two layers, ALSTM in batches of 800).

Two times each: ``with_loader`` as pyqlib trains, windows cut by its sampler while the epoch runs; ``without_loader``
with every batch cut beforehand, so that forward, backward and optimiser alone are timed.
"""

import json
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

LAYERS = 2
ALSTM_BATCH = 800
EPOCHS = 5


def main(path: str) -> int:
    """Time both models."""
    torch.set_num_threads(1)
    from qlib.contrib.model.pytorch_alstm_ts import ALSTM
    from qlib.contrib.model.pytorch_gats_ts import DailyBatchSampler, GATs
    from qlib.data.dataset import TSDataSampler
    from qlib.model.utils import ConcatDataset

    arrays = np.load(path)
    lookback, hidden, features = int(arrays["lookback"]), int(arrays["hidden"]), arrays["x"].shape[2]
    table = frame(arrays["x"], arrays["y"])
    days = table.index.get_level_values("datetime").unique()

    def windows() -> Any:
        sampler = TSDataSampler(
            data=table.copy(), start=days[lookback - 1], end=days[-1], step_len=lookback, dtype=np.float32
        )
        sampler.config(fillna_type="ffill+bfill")
        return sampler

    sizes = {"d_feat": features, "hidden_size": hidden, "num_layers": LAYERS, "n_jobs": 0, "GPU": -1, "seed": 0}
    samples = windows()
    gats = GATs(base_model="LSTM", **sizes)
    daily = DataLoader(samples, sampler=DailyBatchSampler(samples), num_workers=0, drop_last=True)
    alstm = ALSTM(batch_size=ALSTM_BATCH, **sizes)
    weighted = ConcatDataset(samples, np.ones(len(samples)))
    shuffled = DataLoader(weighted, batch_size=ALSTM_BATCH, shuffle=True, num_workers=0, drop_last=True)
    figures = {
        "samples": len(samples),
        "gats": timed(gats, daily),
        "alstm": timed(alstm, shuffled),
        "versions": {name: version(name) for name in ("pyqlib", "torch", "numpy", "pandas")},
    }
    print(json.dumps(figures))
    return 0


def frame(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """The table that pyqlib's sampler reads: rows by (datetime, instrument), features, and the label last."""
    days = pd.bdate_range("2020-01-01", periods=x.shape[0])
    names = [f"S{n:04d}" for n in range(x.shape[1])]
    index = pd.MultiIndex.from_product([days, names], names=["datetime", "instrument"])
    columns = [("feature", f"f{n}") for n in range(x.shape[2])] + [("label", "y")]
    values = np.concatenate([x, y[:, :, None]], axis=2).reshape(len(index), -1)
    return pd.DataFrame(values, index=index, columns=pd.MultiIndex.from_tuples(columns))


def timed(model: Any, loader: DataLoader) -> dict[str, float]:
    """Processor seconds of an epoch, the least of some: with the loader's work and without."""
    with_loader = min(epoch(model, loader) for _ in range(EPOCHS))
    batches = list(loader)
    return {"with_loader": with_loader, "without_loader": min(epoch(model, batches) for _ in range(EPOCHS))}


def epoch(model: Any, batches: Iterable[Any]) -> float:
    """Processor seconds of one ``train_epoch``."""
    started = time.process_time()
    model.train_epoch(batches)
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
