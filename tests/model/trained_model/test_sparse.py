"""Leaders' coefficients are kept sparse by soft thresholding, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from model.atft_tensors.panel import FoldPanel
from model.trained_model.config import GuardConfig, PhaseConfig
from model.trained_model.network.atft_gat_fan import AtftGatFan
from model.trained_model.step import Parts
from tests.model.trained_model.support import NETWORK, TRAINING, trained

FLAG = GuardConfig(degenerate="flag")
SPARSE = ("direct.neighbours.of_source.weight", "direct.neighbours.output.weight")


def test_what_the_data_do_not_hold_up_is_zero_and_other_parts_are_as_full_as_ever(
    make_panel: Callable[..., FoldPanel],
) -> None:
    panel = make_panel()
    zeros = {}
    for limit in (0.0, 0.9):
        state = trained(panel, replace(TRAINING, leaders_l1=limit, guards=FLAG, ema_decay=None)).state
        zeros[limit] = {name: float((value == 0.0).float().mean()) for name, value in state.items()}
    assert all(zeros[0.0][name] == 0.0 and zeros[0.9][name] > 0.5 for name in SPARSE)
    others = set(zeros[0.0]) - set(SPARSE)
    assert all(zeros[0.9][name] == zeros[0.0][name] for name in others)


def test_a_phase_without_the_graph_leaves_the_coefficients_as_they_are(make_panel: Callable[..., FoldPanel]) -> None:
    with_graph = PhaseConfig(name="gat", epochs=1, lr=0.01)
    without = PhaseConfig(name="rest", epochs=1, lr=0.01, graph=False)
    config = replace(TRAINING, leaders_l1=0.1, guards=FLAG, ema_decay=None, keep="last_phase", weight_decay=0.0)
    states = [
        trained(make_panel(), replace(config, phases=phases)).state for phases in ((with_graph,), (with_graph, without))
    ]
    assert all(states[0][name].any() and torch.equal(states[0][name], states[1][name]) for name in SPARSE)


def test_the_sparse_parameters_are_the_leaders_coefficients_where_there_is_a_graph() -> None:
    network = AtftGatFan(NETWORK, 3, (1, 5), 6)
    named = dict(network.named_parameters())
    assert Parts(network).sparse == {id(named[name]) for name in SPARSE}
    assert not Parts(AtftGatFan(replace(NETWORK, graph=False), 3, (1, 5), 6)).sparse


@pytest.mark.parametrize("limit", [-0.1, 1.0])
def test_a_threshold_that_no_step_could_reach_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="leaders_l1"):
        replace(TRAINING, leaders_l1=limit)
