"""The trainer against the machine's limit: step time over its bound, what a step spends elsewhere, memory, a GPU.

Every training runs in a process of its own through :func:`model.trained_model.trainer.train`, with one CPU thread, on
random numbers of a stated size; :mod:`benchmarks.trainer_clock` says what is timed. ``python -m benchmarks.trainer
WORKLOAD`` is that process. The comparison with pyqlib is :mod:`benchmarks.trainer_compared`.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import trainer_compared
from benchmarks.trainer_clock import Laps, clocked, copy_rate, product_rate, work_of_step
from benchmarks.trainer_panel import synthetic_panel
from model.atft_tensors.panel import FoldPanel
from model.store.peak_memory import peak_memory_bytes, reset_peak_memory
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, TrainResult
from model.trained_model.trainer import train

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 2
"""First steps left out of every median."""
BOUND, OUTSIDE, MEMORY, GPU_MINUTES, GPU_BUSY = 2.5, 0.05, 1.5e9, 15.0, 0.8
"""The targets: times the bound, share of the step, bytes beside the panel, minutes of the job, utilisation."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One training: sizes of the panel and the network."""

    steps: int
    names: int
    features: int
    lookback: int = 20
    hidden: int = 64
    days_per_batch: int = 4
    panel_days: int | None = None
    """Train days of the panel, where not all are trained on in the epoch."""
    epochs: int = 1
    precision: str = "32"
    accelerator: str = "cpu"
    compile: bool = False

    def panel(self) -> FoldPanel:
        """The panel of these sizes."""
        days = self.panel_days or self.steps * self.days_per_batch
        return synthetic_panel(train_days=days, names=self.names, features=self.features, lookback=self.lookback)

    def network(self) -> NetworkConfig:
        """Every part on, at the width asked for."""
        return NetworkConfig(hidden=self.hidden, gat_hidden=self.hidden)

    def train(self, panel: FoldPanel, callbacks: Callbacks | None = None) -> TrainResult:
        """Train; every loss and every part is on."""
        config = TrainingConfig(
            phases=(PhaseConfig(name="all", epochs=self.epochs, lr=1e-3, patience=self.epochs),),
            days_per_batch=self.days_per_batch,
            days_per_epoch=self.steps * self.days_per_batch,
            precision="bf16-mixed" if self.precision == "bf16-mixed" else "32",
            accelerator="cuda" if self.accelerator == "cuda" else "cpu",
            compile=self.compile,
        )
        return train(panel, self.network(), config, lookback=self.lookback, seed=1, callbacks=callbacks)


WHOLE = Workload(steps=20, names=400, features=100)
QUICK = Workload(steps=8, names=100, features=40)
SHARED_FILE = Workload(steps=6, names=650, features=13, hidden=24, panel_days=378)
"""A fold of the ``us_equities`` preset on the shared file: a year and a half of train days, its features and width."""
SHARED_FILE_WHOLE = replace(SHARED_FILE, features=112, hidden=64)
"""The same fold with every feature and the full width."""
GPU_JOB = Workload(
    steps=280,
    names=4_000,
    features=112,
    days_per_batch=8,
    epochs=20,
    precision="bf16-mixed",
    accelerator="cuda",
)
"""9 M rows (2,240 days of 4,000 names), 20 epochs: the job that took the earlier system 6.4 hours."""


def run(work: Path, quick: bool) -> dict[str, Any]:
    """All figures with their targets; ``work`` holds the environment of pyqlib."""
    whole = QUICK if quick else WHOLE
    figures: dict[str, Any] = {"whole_network": _child(whole)}
    rates = figures["whole_network"]["product_rate"]
    if rates["bf16"] > rates["float32"]:
        figures["whole_network_bf16"] = _child(replace(whole, precision="bf16-mixed"))
    fold = {"shared_file": SHARED_FILE, "shared_file_all_features": SHARED_FILE_WHOLE}
    figures["memory"] = {name: _memory(_child(QUICK if quick else workload)) for name, workload in fold.items()}
    figures["gpu"] = _child(GPU_JOB) if torch.cuda.is_available() else "not measured: no GPU"
    figures["against_pyqlib"] = trainer_compared.compare(work, quick)
    print(table(figures))
    return figures


def _child(workload: Workload) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.trainer", json.dumps(asdict(workload))]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _memory(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in ("workload", "panel_bytes", "peak_bytes", "beside_panel_bytes")}


def measure(workload: Workload) -> dict[str, Any]:
    """One training on a CPU, clocked."""
    torch.set_num_threads(1)
    before = peak_memory_bytes()
    panel = workload.panel()
    reset_peak_memory()
    with clocked(rate=True) as laps:
        result = workload.train(panel)
    peak = peak_memory_bytes()
    size = sum(value.nbytes for value in vars(panel).values() if hasattr(value, "nbytes"))
    work = work_of_step(panel, workload.network(), workload.days_per_batch, workload.lookback)
    bandwidth = copy_rate()
    rate = statistics.median(laps.product_rate)
    windows = workload.names * workload.days_per_batch
    widest = (windows * workload.lookback, workload.features * workload.network().vsn_width, workload.hidden)
    step = statistics.median(laps.step[WARM_UP:])
    return {
        "workload": asdict(workload),
        "threads": 1,
        "step_seconds": step,
        "work": work,
        "product_rate": {
            "float32": rate,
            "float32_widest_of_network": product_rate(torch.float32, widest),
            "bf16": product_rate(torch.bfloat16, (256, 256, 256)),
        },
        "copy_bytes_per_second": bandwidth,
        "bound_seconds": work["operations"] / rate,
        "memory_bound_seconds": work["bytes_of_large_tensors"] / bandwidth,
        "times_bound": step * rate / work["operations"],
        **_shares(laps),
        "flags": list(result.flags),
        "panel_bytes": size,
        "peak_bytes": peak,
        "before_bytes": before,
        "beside_panel_bytes": peak - size,
    }


def _shares(laps: Laps) -> dict[str, Any]:
    """Seconds of a step by part; outside is all that is neither forward, backward nor optimiser, the loop included."""
    counted = ("forward", "loss", "backward", "optimiser")
    parts = {name: statistics.median(getattr(laps, name)[WARM_UP:]) for name in counted}
    measuring = sum(laps.measuring)
    span = laps.ended - laps.began - measuring
    inside = sum(sum(getattr(laps, name)) for name in counted)
    return {"parts_seconds": parts, "share_outside": (span - inside) / span}


def measure_gpu(workload: Workload) -> dict[str, Any]:
    """The published job on a GPU: minutes, and how busy the device was."""
    panel = workload.panel()
    busy: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            busy.append(torch.cuda.utilization() / 100)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    epochs: list[float] = []
    started = time.perf_counter()
    workload.train(panel, Callbacks(on_epoch=lambda record: epochs.append(float(record["seconds"]))))
    minutes = (time.perf_counter() - started) / 60
    done.set()
    watcher.join()
    return {
        "workload": asdict(workload),
        "device": torch.cuda.get_device_name(),
        "minutes": minutes,
        "epoch_seconds": epochs,
        "utilisation": statistics.mean(busy) if busy else None,
        "peak_device_bytes": torch.cuda.max_memory_allocated(),
    }


def table(figures: dict[str, Any]) -> str:
    """Each figure beside its target."""
    whole = figures["whole_network"]
    rows = [
        ("step over its bound, float32", f"{whole['times_bound']:.2f} x", f"<= {BOUND} x"),
        ("share outside forward, backward, optimiser", f"{whole['share_outside']:.1%}", f"< {OUTSIDE:.0%}"),
    ]
    reduced = figures.get("whole_network_bf16")
    if reduced:
        gain = f"{whole['step_seconds'] / reduced['step_seconds']:.2f} x float32, flags: {len(reduced['flags'])}"
        rows.append(("bf16 autocast", gain, "faster, no flag"))
    else:
        rate = whole["product_rate"]
        rows.append(("bf16 autocast", f"slower here ({rate['bf16'] / rate['float32']:.2f} x the rate)", "where faster"))
    for name, memory in figures["memory"].items():
        rows.append(
            (f"memory beside the panel, {name}", f"{memory['beside_panel_bytes'] / 1e9:.2f} GB", f"< {MEMORY / 1e9} GB")
        )
    gpu = figures["gpu"]
    if isinstance(gpu, str):
        rows.append(("GPU job", gpu, f"< {GPU_MINUTES:.0f} min, > {GPU_BUSY:.0%} busy"))
    else:
        found = f"{gpu['minutes']:.1f} min, {gpu['utilisation'] or 0:.0%} busy on {gpu['device']}"
        rows.append(("GPU job", found, f"< {GPU_MINUTES:.0f} min, > {GPU_BUSY:.0%} busy"))
    rows += trainer_compared.rows(figures["against_pyqlib"])
    return "\n".join(["\ntrainer", *(f"{name:<52}{found:>34}   {target}" for name, found, target in rows)])


def main(arguments: Sequence[str]) -> int:
    """One training in this process; its figures as one line of JSON."""
    workload = Workload(**json.loads(arguments[0]))
    print(json.dumps(measure_gpu(workload) if workload.accelerator == "cuda" else measure(workload)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
