"""Where the time of a training step goes, and what it could be: a clock around the trainer's own parts.

The clock wraps the functions that training calls, so what is timed is the training people run. Times are processor
seconds of the process (all its threads), which other work on the machine does not enter; on a GPU they are wall time
between synchronised points.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from model.atft_tensors.panel import FoldPanel
from model.trained_model import losses, step
from model.trained_model.batches import Batch, DayBatches
from model.trained_model.config import LossConfig
from model.trained_model.network import gat, gated_skip, grn, last_query, min_gru, selected_sum, temporal, vsn
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig

SQUARE = 1024
"""Side of the matrices whose product gives the rate of the bound."""


@dataclass
class Laps:
    """Seconds of each call, by part of the step."""

    step: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    optimiser: list[float] = field(default_factory=list)
    product_rate: list[float] = field(default_factory=list)
    """Floating-point operations a second of a large matrix product, measured before each step."""
    measuring: list[float] = field(default_factory=list)
    """Seconds that measuring that rate took, within ``began`` to ``ended``."""
    began: float = 0.0
    """Start of the first step."""
    ended: float = 0.0
    """End of the last step."""
    inside: bool = False
    """Whether a step is going on."""


@contextmanager
def clocked(clock: Callable[[], float] = time.process_time, *, rate: bool = False) -> Iterator[Laps]:
    """Wrap the trainer's parts; ``rate`` measures the matrix product before each step."""
    import lightning_fabric

    laps = Laps()
    places: tuple[tuple[Any, str, str], ...] = (
        (step.Stepper, "take", "step"),
        (step.Forward, "forward", "forward"),
        (step, "total_loss", "loss"),
        (lightning_fabric.Fabric, "backward", "backward"),
        (torch.optim.AdamW, "step", "optimiser"),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, lap in places:
        setattr(owner, name, _timed(getattr(owner, name), lap, laps, clock, rate=rate and lap == "step"))
    try:
        yield laps
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def _timed(
    original: Callable[..., Any], lap: str, laps: Laps, clock: Callable[[], float], *, rate: bool
) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        in_step = lap == "step" or laps.inside
        if lap == "step":
            laps.inside = True
            laps.began = laps.began or clock()
        if rate:
            before = clock()
            laps.product_rate.append(product_rate(torch.float32))
            laps.measuring.append(clock() - before)
        started = clock()
        try:
            return original(*arguments, **named)
        finally:
            now = clock()
            if in_step:  # validation calls the network too
                getattr(laps, lap).append(now - started)
            if lap == "step":
                laps.ended, laps.inside = now, False

    return call


def product_rate(dtype: torch.dtype, shape: tuple[int, int, int] = (SQUARE, SQUARE, SQUARE), repeats: int = 3) -> float:
    """Floating-point operations a (processor) second of [m, k] @ [k, n] in this process."""
    m, k, n = shape
    left, right, out = torch.ones(m, k, dtype=dtype), torch.ones(k, n, dtype=dtype), torch.empty(m, n, dtype=dtype)
    best = 0.0
    for _ in range(repeats):
        started = time.process_time()
        torch.mm(left, right, out=out)
        best = max(best, 2.0 * m * k * n / (time.process_time() - started))
    return best


def copy_rate(numbers: int = 2**24) -> float:
    """Bytes a (processor) second that a copy moves, read and written, from memory beyond every cache."""
    source = torch.ones(numbers)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(4):
        started = time.process_time()
        target.copy_(source)
        best = max(best, 2.0 * source.nbytes / (time.process_time() - started))
    return best


LARGE = 4 * 2**20
"""Bytes of a tensor that a processor's cache will not have kept from its last use."""


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operations read and write, of large tensors (memory) and of all (memory and cache)."""

    def __init__(self) -> None:
        super().__init__()
        self.all = 0.0
        self.large = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and func not in _MOVE_NOTHING:
            for tensor in tree_leaves((args, kwargs, out)):
                if isinstance(tensor, torch.Tensor):
                    size = min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
                    self.all += size
                    self.large += size if size >= LARGE else 0.0
        return out


_MOVE_NOTHING = frozenset({torch.ops.aten.empty.memory_format, torch.ops.aten.new_empty.default})


_BY_HAND: tuple[tuple[Any, str, Any], ...] = (
    (vsn, "selected_sum", selected_sum.by_operations),
    (min_gru, "min_gru", min_gru.by_operations),
    (temporal, "gated_skip", gated_skip.by_operations),
    (grn, "gated_rows", gated_skip.rows_by_operations),
    (temporal, "last_query", last_query.by_operations),
    (gat, "by_hand", lambda nodes: False),
)
"""Where functions with a backward pass of their own are called or chosen, and the same in ordinary operations."""


def work_of_step(panel: FoldPanel, config: NetworkConfig, days: int, lookback: int) -> dict[str, float]:
    """What one step must do, forward and backward: operations of its matrix products, and bytes it moves.

    Operations are counted by torch with all that is worked by hand in ordinary operations, so that what the blocked
    form of variable selection computes twice counts once. torch does not count the LSTM on a CPU; its products are
    added: forward ``2 * rows * layers * 4 H * (inputs + H)``, backward twice that. Elementwise work, sorting,
    normalisation and the optimiser count as nothing: the bound is the time of the products alone. Bytes are those of
    the blocked form; the inside of the LSTM is not seen.
    """
    network = AtftGatFan(config, len(panel.features), panel.horizons, lookback)
    batches = DayBatches(panel, lookback, torch.device("cpu"))
    batch = batches.batch(panel.train[:days], graph=config.graph)
    rows = batches.targets(batch)
    with Traffic() as traffic:
        _forward_and_backward(network, batch, rows)
    kept = [(module, name, getattr(module, name)) for module, name, _ in _BY_HAND]
    for module, name, by_operations in _BY_HAND:
        setattr(module, name, by_operations)
    try:
        with FlopCounterMode(display=False) as counter:
            _forward_and_backward(network, batch, rows)
    finally:
        for module, name, original in kept:
            setattr(module, name, original)
    windows = len(batch.code) * lookback
    lstm = sum(6.0 * windows * 4 * part.hidden_size * (part.hidden_size + width) for part, width in _lstms(network))
    counted = float(counter.get_total_flops())
    return {
        "counted_operations": counted,
        "lstm_operations": lstm,
        "operations": counted + lstm,
        "bytes": traffic.all,
        "bytes_of_large_tensors": traffic.large,
    }


def _forward_and_backward(network: AtftGatFan, batch: Batch, rows: torch.Tensor) -> None:
    switches = PhaseSwitches.everything(network.config)
    point, quantiles, auxiliary = step.run_network(step.Forward(network), batch, switches, rows)
    target = batch.pad(rows, torch.nan)
    padded = losses.Padded(point, quantiles, target, torch.isfinite(target))
    losses.total_loss(padded, auxiliary, network.config.quantiles, LossConfig())[0].backward()


def _lstms(network: nn.Module) -> list[tuple[nn.LSTM, int]]:
    """Each layer of each LSTM, and the width of its input."""
    return [
        (part, part.input_size if layer == 0 else part.hidden_size)
        for part in network.modules()
        if isinstance(part, nn.LSTM)
        for layer in range(part.num_layers)
    ]
