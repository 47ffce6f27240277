"""The learning rate's course."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.atft_tensors.panel import FoldPanel
from model.trained_model.config import GuardConfig
from model.trained_model.network.atft_gat_fan import AtftGatFan
from model.trained_model.schedule import layer_factors, rate
from tests.model.trained_model.support import LOOKBACK, NETWORK, TRAINING, trained


def test_the_rate_rises_linearly_to_its_peak_and_falls_along_a_cosine() -> None:
    trace = [rate(step, 10, 4, 1.0) for step in range(10)]
    assert trace[:4] == [0.25, 0.5, 0.75, 1.0]
    assert trace[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * n / 6)) for n in range(6)])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(0, 250), st.floats(1e-6, 1.0))
def test_every_rate_is_positive_and_at_most_the_peak(steps: int, warmup: int, peak: float) -> None:
    trace = [rate(step, steps, warmup, peak) for step in range(steps)]
    assert all(0 < value <= peak * (1 + 1e-12) for value in trace)
    assert max(trace) == pytest.approx(peak)


def test_layerwise_decay_gives_the_documented_rates() -> None:
    rates = [5.0e-6 * factor for factor in layer_factors(12, 0.90)]
    assert rates[0] == pytest.approx(1.57e-6, rel=1e-2)
    assert rates[-1] == 5.0e-6


@pytest.mark.parametrize("top", [5.0e-6, 1e-3])
def test_twelve_blocks_of_a_network_train_at_the_rates_asked_for_in_every_step_of_every_phase(
    top: float, make_panel: Callable[..., FoldPanel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published figures: top rate 5.0e-6, decay 0.90, 12 blocks, 1.57e-6 at the bottom."""
    seen: list[list[float]] = []
    step = torch.optim.AdamW.step

    def spy(optimizer: torch.optim.AdamW, *arguments: Any, **named: Any) -> Any:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    network = replace(NETWORK, lstm_layers=2, direct=False, gat_reads_features=False)
    phases = tuple(replace(phase, lr=lr) for phase, lr in zip(TRAINING.phases, (top, top / 2), strict=True))
    training = replace(TRAINING, layerwise_decay=0.90, phases=phases, guards=GuardConfig(degenerate="flag"))
    result = trained(make_panel(), training, network=network)
    blocks = AtftGatFan(network, 5, (1, 5), LOOKBACK).layer_depths()
    assert blocks[0][0] == "vsn" and blocks[-1][0] == "heads" and len(blocks) == 12
    steps = len(seen) // 4
    asked = [
        rate(at, 2 * steps, round(phase.warmup_epochs * steps), phase.lr) for phase in phases for at in range(2 * steps)
    ]
    assert list(result.rates) == asked
    for rates, whole in zip(seen, asked, strict=True):
        assert rates == pytest.approx([whole * 0.9 ** (11 - block) for block in range(12)], rel=1e-12)
    highest = max(seen)
    assert highest[-1] == pytest.approx(top, rel=1e-12)
    assert highest[0] / highest[-1] == pytest.approx(1.57 / 5.0, rel=2e-3)
