"""What a trained network looks at: features, days of the window, neighbours. Read off on the validation days.

Variable selection and temporal attention are weights of the forward pass itself, no explanation made afterwards. They
say where the network looks, not which way a feature moves the prediction, and correlated features share weight.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.atft_tensors.panel import FoldPanel
from model.trained_model.batches import DayBatches
from model.trained_model.ensemble import Member
from model.trained_model.inference import network_with
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.surroundings import reproducible

_MOST_DAYS = 63
"""Validation days looked at, evenly spaced: the means are stable long before."""


def look_into(
    panel: FoldPanel,
    network: NetworkConfig,
    members: Sequence[Member],
    *,
    lookback: int,
    threads: int = 1,
) -> dict[str, Any]:
    """Means over stocks, days and members.

    Returns:
        ``selection``: weight of each feature on the newest day (they sum to 1), None where the network was built
        without variable selection: it reads all features alike; ``attention``: weight of each day of
        the window, oldest first (they sum to 1); ``gate_alpha``: share of the stock's own features in the fusion, one
        entry a member, None where the graph does not act; ``days`` and ``rows`` they are means of.
    """
    places = np.unique(np.linspace(0, len(panel.validation) - 1, min(_MOST_DAYS, len(panel.validation))).astype(int))
    days = panel.validation[places]
    selections, attentions, alphas, rows = [], [], [], 0
    with reproducible(0, threads, torch.device("cpu")), torch.no_grad():
        batches = DayBatches(panel, lookback, torch.device("cpu"))
        for member in members:
            module = network_with(panel, network, member.state, lookback).eval()
            switches = member.switches or PhaseSwitches.everything(network)
            selection, attention, rows = _means(module, batches, days, switches)
            if selection is not None:
                selections.append(selection)
            attentions.append(attention)
            alphas.append(float(module.fusion.alpha) if switches.graph else None)
    weights = dict(zip(panel.features, np.mean(selections, axis=0).tolist(), strict=True)) if selections else None
    return {
        "selection": weights,
        "attention": np.mean(attentions, axis=0).tolist(),
        "gate_alpha": alphas,
        "days": len(days),
        "rows": rows,
    }


def _means(
    module: AtftGatFan, batches: DayBatches, days: NDArray[np.int64], switches: PhaseSwitches
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64], int]:
    """Selection by feature or None, attention by day of the window, and the number of rows (stocks and days)."""
    heard: list[torch.Tensor] = []
    handle = module.temporal.attention.register_forward_hook(lambda part, inputs, output: heard.append(output[1]))
    selection = np.zeros(module.n_features) if module.config.variable_selection else None
    attention = np.zeros(module.lookback)
    rows = 0
    try:
        for day in days:
            batch = batches.batch(np.array([day]), graph=switches.graph)
            output = module(batch.x, batch.own_return, batch.edge_index, batch.edge_attr, switches)
            if selection is not None:
                selection += output.selection.double().sum(0).numpy()
            attention += heard.pop().double().sum(0).numpy()
            rows += len(batch.x)
    finally:
        handle.remove()
    return None if selection is None else selection / rows, attention / rows, rows
