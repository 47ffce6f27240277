"""Training on several devices: one process each, started by Lightning Fabric, which share the days of every step.

Gradients are averaged, so all processes hold the same weights; the first one validates for the record, writes the
checkpoints and reports. Reports and the wish to stop travel between it and the caller, whose callbacks are only ever
called in the caller's own thread.
"""

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from safetensors.torch import load, save
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import TrainingConfig
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, TrainingStoppedError, TrainResult
from model.trained_model.session import train_here

_POLL_SECONDS = 0.2


class _Order:
    """All that a process needs. Not a dataclass: Fabric walks through those, and refuses frozen ones."""

    def __init__(
        self,
        panel: FoldPanel,
        network: NetworkConfig,
        training: TrainingConfig,
        lookback: int,
        seed: int,
        checkpoint_dir: Path | None,
    ) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self.news = context.Queue()
        """Epoch records and, last, the outcome: from the first process to the caller."""
        self.stop = context.Event()
        """Set by the caller to ask for a stop."""
        self.panel = _shared(panel)
        self.network = network
        self.training = training
        self.lookback = lookback
        self.seed = seed
        self.checkpoint_dir = checkpoint_dir


@dataclass(frozen=True)
class _Finished:
    """The outcome of the first process; weights as the bytes of a safetensors file."""

    result: TrainResult | None
    state: bytes
    error: TrainingError | None


def train_on_many(
    shared: dict[str, Any],
    panel: FoldPanel,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    lookback: int,
    seed: int,
    callbacks: Callbacks,
) -> TrainResult:
    """Train on ``training.devices`` devices; see ``trainer.train``.

    Args:
        shared: accelerator and precision, as Fabric wants them.

    Raises:
        TrainingStoppedError: ``should_stop`` said so.
        TrainingError: a process failed; the message is its own.
    """
    order = _Order(panel, network, training, lookback, seed, callbacks.checkpoint_dir)
    strategy = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    fabric = Fabric(devices=training.devices, strategy=strategy, **shared)
    outcome: _Finished | None = None
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fabric.launch, _work, order)
        try:
            while outcome is None and not running.done():
                outcome = _relay(order, callbacks)
                if callbacks.should_stop():
                    order.stop.set()
        except BaseException:
            order.stop.set()  # the caller was interrupted: let the processes end before the thread is joined
            raise
    return _result(running, outcome or _relay(order, callbacks))


def _work(fabric: Any, order: _Order) -> None:
    """One process. The first sends its outcome, errors too; an error of any ends the launch."""
    callbacks = Callbacks(on_epoch=order.news.put, should_stop=order.stop.is_set, checkpoint_dir=order.checkpoint_dir)
    arrays: dict[str, Any] = {
        name: value.numpy() if isinstance(value, Tensor) else value for name, value in order.panel.items()
    }
    try:
        result = train_here(
            fabric,
            FoldPanel(**arrays),
            order.network,
            order.training,
            lookback=order.lookback,
            seed=order.seed,
            callbacks=callbacks,
        )
        finished = _Finished(replace(result, state={}), save(result.state), None)
    except TrainingStoppedError as error:  # raised by all processes in the same step
        finished = _Finished(None, b"", error)
    except TrainingError as error:
        if fabric.is_global_zero:
            order.news.put(_Finished(None, b"", error))
        raise  # which ends the others: they may be waiting for this process
    if fabric.is_global_zero:
        order.news.put(finished)


def _relay(order: _Order, callbacks: Callbacks) -> _Finished | None:
    """Report the records that have arrived, waiting a moment for the first; the outcome, if it is among them."""
    try:
        while True:
            news = order.news.get(timeout=_POLL_SECONDS)
            if isinstance(news, _Finished):
                return news
            callbacks.on_epoch(news)
    except queue.Empty:
        return None


def _result(running: Any, outcome: _Finished | None) -> TrainResult:
    error = running.exception()
    if outcome is not None and outcome.error is not None:
        raise outcome.error
    if error is not None or outcome is None or outcome.result is None:
        raise TrainingError(
            f"A process of the training on several devices failed: {error}. Train with training.devices 1 to see "
            "whether the cause is in the training or in the machine's devices."
        ) from error
    return replace(outcome.result, state=load(outcome.state))


def _shared(panel: FoldPanel) -> dict[str, Any]:
    values = {entry.name: getattr(panel, entry.name) for entry in fields(panel)}
    return {
        name: torch.from_numpy(np.ascontiguousarray(value)).share_memory_() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
