"""Predictions of a trained network for given days.

Each day is predicted on its own, so its numbers depend on nothing but its stocks, their windows and its graph: the
same bits whatever other days are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.batches import DayBatches
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.step import Forward, run_network
from model.trained_model.surroundings import reproducible


@dataclass(frozen=True)
class Predictions:
    """D days, N codes of the panel, H horizons, Q quantile levels; NaN where the code is no member that day.

    In the units of the labels: the excess of the forward return over its mean across the day's members.
    """

    days: NDArray[np.int64]
    """[D] positions in the panel."""
    point: NDArray[np.float32]
    """[D, N, H]"""
    quantiles: NDArray[np.float32]
    """[D, N, H, Q], in the order of ``levels``, never decreasing along Q."""
    levels: tuple[float, ...]


def predict(
    panel: FoldPanel,
    network: NetworkConfig,
    state: Mapping[str, Tensor],
    days: NDArray[np.int64],
    *,
    lookback: int,
    switches: PhaseSwitches | None = None,
    accelerator: str = "cpu",
    threads: int = 1,
    on_day: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Predict days of a panel, without dropout.

    Args:
        state: the kept weights of a training.
        days: positions in the panel; each needs lookback - 1 earlier ones.
        switches: the parts that acted when the weights were chosen; left out, all that the network has.
        on_day: told the number of days done.

    Raises:
        TrainingError: the weights do not fit the network and panel, or a prediction is not finite.
    """
    device = torch.device(accelerator)
    active = switches or PhaseSwitches.everything(network)
    levels = tuple(network.quantiles)
    shape = (len(days), len(panel.codes), len(panel.horizons))
    point = np.full(shape, np.nan, np.float32)
    quantiles = np.full((*shape, len(levels)), np.nan, np.float32)
    with reproducible(0, threads, device), torch.no_grad():
        module = Forward(network_with(panel, network, state, lookback)).to(device).eval()
        batches = DayBatches(panel, lookback, device)
        for number, day in enumerate(days):
            batch = batches.batch(np.array([day]), graph=active.graph)
            of_day, spread, _ = run_network(module, batch, active)
            code = batch.code.cpu().numpy()
            point[number, code] = of_day[0].cpu().numpy() * panel.target_scale
            quantiles[number, code] = spread[0].cpu().numpy() * panel.target_scale[:, None]
            on_day(number + 1)
    _check_finite(point, quantiles, panel.member[days])
    return Predictions(days=days, point=point, quantiles=quantiles, levels=levels)


def network_with(panel: FoldPanel, network: NetworkConfig, state: Mapping[str, Tensor], lookback: int) -> AtftGatFan:
    """The network of a panel with trained weights.

    Raises:
        TrainingError: the weights do not fit the network and panel.
    """
    model = AtftGatFan(network, len(panel.features), panel.horizons, lookback)
    own = model.state_dict()
    wrong = [name for name in own.keys() | state.keys() if name not in own or name not in state]
    wrong += [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if wrong:
        raise TrainingError(
            f"The weights do not fit the network: {len(wrong)} of {len(own)} tensors differ in name or shape, such as "
            f"{sorted(wrong)[0]}. They were trained with another configuration or feature list ({len(panel.features)} "
            "features here); train again."
        )
    model.load_state_dict(dict(state))
    return model


def _check_finite(point: NDArray[np.float32], quantiles: NDArray[np.float32], member: NDArray[np.bool_]) -> None:
    broken = int((~np.isfinite(point[member])).sum() + (~np.isfinite(quantiles[member])).sum())
    if broken:
        raise TrainingError(
            f"{broken} predictions are not finite. The weights or the panel are damaged: check the fold's tensors "
            "(gogooku diagnose) and train again."
        )
