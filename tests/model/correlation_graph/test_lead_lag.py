"""Who leads: found where it is planted, not where it is not, and never from days that had not come."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.correlation_graph.lead_lag import CLIP, leadership

FIRST, SECOND = np.triu_indices(6, 1)


def returns(days: int, lead: float, seed: int = 0) -> NDArray[np.float64]:
    """Six names with a common move; the others follow the own move of name 0 a day later."""
    rng = np.random.Generator(np.random.PCG64(seed))
    own, common = rng.normal(size=(days, 6)), rng.normal(size=(days, 1))
    x = 0.6 * common + own
    x[1:, 1:] += lead * own[:-1, :1]
    return 0.01 * x


def test_the_leader_stands_out_and_nobody_does_where_nobody_leads() -> None:
    flat = np.ones(len(FIRST))
    led = leadership(returns(600, 0.3), FIRST, SECOND, flat)
    assert led.argmax() == 0 and led[0] > 4.0
    assert np.abs(leadership(returns(600, 0.0), FIRST, SECOND, flat)).max() < 3.0


def test_a_neighbour_that_moves_the_other_way_counts_with_its_sign() -> None:
    x = returns(600, 0.3)
    flat = np.ones(len(FIRST))
    turned, signs = x.copy(), flat.copy()
    turned[:, 5] *= -1.0
    signs[SECOND == 5] = -1.0
    np.testing.assert_allclose(leadership(turned, FIRST, SECOND, signs), leadership(x, FIRST, SECOND, flat))


def test_it_equals_the_formula_written_out_with_missing_days() -> None:
    x = returns(60, 0.3)
    x[7, 2] = x[8, 0] = np.nan
    first, second, sign = np.array([0, 0, 2]), np.array([1, 2, 3]), np.array([1.0, -1.0, 1.0])
    known = np.isfinite(x)
    z = np.clip(np.where(known, x, 0.0) / np.sqrt(np.nanmean(x**2, axis=0)), -CLIP, CLIP)
    neighbours: dict[int, list[tuple[int, float]]] = {n: [] for n in range(6)}
    for a, b, s in zip(first, second, sign, strict=True):
        neighbours[a].append((b, s))
        neighbours[b].append((a, s))
    expected = np.zeros(6)
    for j, around in neighbours.items():
        products = []
        for t in range(1, 60):
            if around and known[t - 1, j]:
                group = sum(s * z[t - 1, k] for k, s in around)
                own = z[t - 1, j] - (z[t - 1, j] + group) / (1 + len(around))
                products.append(own * sum(s * z[t, k] for k, s in around))
        if products:
            expected[j] = sum(products) / np.sqrt(sum(p * p for p in products))
    np.testing.assert_allclose(leadership(x, first, second, sign), expected, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(days=st.integers(0, 19), seed=st.integers(0, 100))
def test_too_few_days_say_nothing(days: int, seed: int) -> None:
    assert not leadership(returns(max(days, 1), 0.5, seed), FIRST, SECOND, np.ones(len(FIRST))).any()
