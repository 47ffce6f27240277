"""The learning rate's course."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.trained_model.schedule import layer_factors, rate


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
