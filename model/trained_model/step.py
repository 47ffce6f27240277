"""One step of the optimiser: forward passes over whole days, losses, gradients by part, clipping, the update.

A step may take several forward passes (accumulation). When a GPU runs out of memory, a forward pass takes half the
days and the step takes twice the passes, so the step itself sees the same days.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv

from model.errors import TrainingError
from model.trained_model.batches import Batch, DayBatches
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.losses import Padded, total_loss
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.schedule import layer_factors

MOST_HALVINGS = 2
_Found = TypeVar("_Found")


class Forward(nn.Module):
    """The network with plain arguments and results, as precision plugins, compilers and wrappers want them."""

    def __init__(self, network: AtftGatFan) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, inputs: tuple[Tensor, ...], target: Tensor | None, adaptive: bool, graph: bool
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """``inputs`` is (x, own_return, edge_index, edge_attr); returns point, quantiles, auxiliary losses."""
        output = self.network(*inputs, PhaseSwitches(adaptive_norm=adaptive, graph=graph), target)
        return output.point, output.quantiles, output.auxiliary


def active(network: NetworkConfig, phase: PhaseConfig) -> PhaseSwitches:
    """The parts that act in a phase: those it switches on, of those the network has."""
    return PhaseSwitches(
        adaptive_norm=phase.adaptive_norm and network.adaptive_norm != "none", graph=phase.graph and network.graph
    )


def run_network(
    module: Any, batch: Batch, switches: PhaseSwitches, target: Tensor | None = None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Padded point [D, N, H] and quantile [D, N, H, Q] predictions in float32, and the auxiliary losses.

    Args:
        target: [B, H] labels of the batch's rows, for the auxiliary losses only.
    """
    inputs = (batch.x, batch.own_return, batch.edge_index, batch.edge_attr)
    point, quantiles, auxiliary = module(inputs, target, switches.adaptive_norm, switches.graph)
    losses = {name: value.float() for name, value in auxiliary.items()}
    return batch.pad(point.float()), batch.pad(quantiles.float()), losses


class Parts:
    """The network's parameters, and to which of its parts each belongs."""

    def __init__(self, network: AtftGatFan) -> None:
        groups = network.parameter_groups()
        self.names = list(groups)
        self.parameters = [value for group in groups.values() for value in group]
        self.index = torch.tensor([part for part, group in enumerate(groups.values()) for _ in group])
        weights = {
            id(value)
            for module in network.modules()
            if isinstance(module, GATv2Conv)
            for value in module.parameters()
            if value.dim() > 1
        }
        self.sparse = frozenset(map(id, network.sparse_parameters()))
        """Identities of the parameters of which most should be zero."""
        self.watched = {"attention": torch.tensor([id(value) in weights for value in self.parameters])}
        if network.fusion.gate is not None:
            self.watched["gate"] = torch.tensor([value is network.fusion.gate for value in self.parameters])
        """Parameters whose gradient is watched beside that of the parts: masks over ``parameters``."""

    @property
    def gradient_names(self) -> list[str]:
        """What the gradient norms of a tally belong to."""
        return [*self.names, *self.watched]

    def blocks(self, network: AtftGatFan, decay: float) -> list[dict[str, Any]]:
        """Optimiser groups with their factor on the rate; a single one where the decay is 1. Frozen ones are left out.

        Frozen parameters are those that require no gradient; without a place in the optimiser no weight decay
        touches them either.
        """
        if decay == 1.0:
            groups = [(self.parameters, 1.0)]
        else:
            depths = network.layer_depths()
            groups = [(group, f) for (_, group), f in zip(depths, layer_factors(len(depths), decay), strict=True)]
        learning = [([p for p in group if p.requires_grad], factor) for group, factor in groups]
        return [{"params": group, "factor": factor} for group, factor in learning if group]

    def freeze(self, network: AtftGatFan, parts: Collection[str]) -> None:
        """Let these parts require no gradient, and all others require one."""
        for name, group in network.parameter_groups().items():
            for parameter in group:
                parameter.requires_grad_(name not in parts)
                parameter.grad = None


@dataclass
class Tally:
    """Sums over the steps of an epoch, kept on the device until the epoch ends."""

    steps: int = 0
    edges: int = 0
    losses: dict[str, Tensor] = field(default_factory=dict)
    squares: Tensor | None = None
    """Sum of squared gradient norms, in the order of ``Parts.gradient_names``."""
    longest: Tensor | None = None
    """Largest norm of the whole gradient in any step, before clipping."""

    def add_losses(self, losses: dict[str, Tensor], share: float) -> None:
        """Add one forward pass, ``share`` of its step."""
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, torch.zeros_like(value)) + share * value

    def share_among(self, fabric: Any) -> None:
        """Replace what one of several processes saw by what all saw (gradients are the same in all of them)."""
        self.losses = {name: fabric.all_reduce(value, reduce_op="mean") for name, value in self.losses.items()}
        edges = torch.tensor(float(self.edges), dtype=torch.float64, device=fabric.device)
        self.edges = round(float(fabric.all_reduce(edges, reduce_op="sum")))


class Stepper:
    """Takes optimiser steps. ``halvings`` counts how often memory ran out; it only grows."""

    def __init__(
        self,
        fabric: Any,
        module: Any,
        parts: Parts,
        batches: DayBatches,
        levels: tuple[float, ...],
        config: TrainingConfig,
    ) -> None:
        self.fabric = fabric
        self.module = module
        self.parts = parts
        self.batches = batches
        self.levels = levels
        self.config = config
        self.loss = config.loss
        self.horizon_weights: tuple[float, ...] | None = None
        self.halvings = 0

    @property
    def days_per_pass(self) -> int:
        """Days in one forward pass, as memory allows."""
        return int(max(1, self.config.days_per_batch >> self.halvings))

    def take(
        self, optimizer: Any, days: NDArray[np.int64], switches: PhaseSwitches, clip: float, tally: Tally
    ) -> tuple[float, float]:
        """One step over ``days``; returns its loss and the norm of its whole gradient, before clipping.

        Raises:
            TrainingError: memory ran out more often than recovery may try.
        """
        loss = None
        while loss is None:
            attempt = Tally()
            loss = self.recovered(partial(self._gradients, optimizer, days, switches, attempt))
        norm = self._clip(clip, tally)
        optimizer.step()
        self._shrink(optimizer)
        tally.steps += 1
        tally.edges += attempt.edges
        tally.add_losses(attempt.losses, 1.0)
        values = torch.stack([loss, norm]).tolist()
        return values[0], values[1]

    def _gradients(self, optimizer: Any, days: NDArray[np.int64], switches: PhaseSwitches, tally: Tally) -> Tensor:
        """Backward passes over this process's share of the days; returns its share of the loss.

        Several processes average their gradients in the last pass of each, so a share counts world_size times.
        """
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.batches.device)
        world = self.fabric.world_size
        mine = days[self.fabric.global_rank :: world]
        weight = world / len(days)
        if not len(mine):  # it must take part in the exchange of gradients all the same
            mine, weight = days[:1], 0.0
        for start in range(0, len(mine), self.days_per_pass):
            chosen = mine[start : start + self.days_per_pass]
            share = weight * len(chosen)
            batch = self.batches.batch(chosen, graph=switches.graph)
            rows = self.batches.targets(batch)
            last = start + self.days_per_pass >= len(mine)
            with self.fabric.no_backward_sync(self.module, enabled=world > 1 and not last):
                point, quantiles, auxiliary = run_network(self.module, batch, switches, rows)
                target = batch.pad(rows, torch.nan)
                padded = Padded(point, quantiles, target, torch.isfinite(target))
                loss, parts = total_loss(padded, auxiliary, self.levels, self.loss, self.horizon_weights)
                self.fabric.backward(loss * share)
            total += share * loss.detach()
            tally.add_losses({**parts, "total": loss.detach()}, share)
            tally.edges += batch.edge_index.shape[1] if share else 0
        return total

    def _clip(self, limit: float, tally: Tally) -> Tensor:
        device = self.batches.device
        zero = torch.zeros((), device=device)
        norms = torch.stack(
            [zero if p.grad is None else torch.linalg.vector_norm(p.grad) for p in self.parts.parameters]
        )
        square = norms.square()
        index = self.parts.index.to(device)
        by_part = torch.zeros(len(self.parts.names), device=device).index_add(0, index, square)
        watched = [(square * mask.to(device)).sum() for mask in self.parts.watched.values()]
        by_part = torch.cat([by_part, torch.stack(watched)])
        tally.squares = by_part if tally.squares is None else tally.squares + by_part
        total = square.sum().sqrt()
        tally.longest = total if tally.longest is None else torch.maximum(tally.longest, total)
        torch.nn.utils.clip_grads_with_norm_(self.parts.parameters, limit, total)
        return total

    @torch.no_grad()
    def _shrink(self, optimizer: Any) -> None:
        """Soft thresholding of the leaders' coefficients, apart from the gradient as AdamW's decay is.

        Those that took no part in the step, in a phase without the graph, stay as they are.
        """
        if not self.config.leaders_l1:
            return
        for group in optimizer.param_groups:
            for value in group["params"]:
                if id(value) in self.parts.sparse and value.grad is not None:
                    value.copy_(nn.functional.softshrink(value, group["lr"] * self.config.leaders_l1))

    def recovered(self, work: Callable[[], _Found]) -> _Found | None:
        """What some passes give; None where memory ran out: from now on a pass takes half the days, so try again.

        Raises:
            TrainingError: memory ran out more often than recovery may try.
        """
        try:
            return work()
        except torch.OutOfMemoryError as error:
            short = error.with_traceback(None)  # whose frames hold the memory of the pass
        self._halve(short)
        return None

    def _halve(self, error: Exception) -> None:
        alone = self.fabric.world_size == 1  # several processes must take the same passes
        recover = self.config.auto_recover_oom and alone
        if not recover or self.halvings >= MOST_HALVINGS or self.days_per_pass == 1:
            raise TrainingError(
                f"The device ran out of memory with {self.days_per_pass} days in a forward pass, after "
                f"{self.halvings} halvings. Lower training.days_per_batch (raise training.accumulate to keep the "
                "step), set training.activation_checkpointing, or lower the network's hidden or the lookback."
            ) from error
        self.halvings += 1
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
