"""Heads: monotone quantiles whatever the weights, sensible before training."""

from statistics import NormalDist

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.trained_model.network.heads import HorizonHeads


@settings(max_examples=25, deadline=None)
@given(
    levels=st.lists(st.integers(1, 99), min_size=1, max_size=9, unique=True),
    size=st.floats(0.01, 30.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_quantiles_never_cross(levels: list[int], size: float, seed: int) -> None:
    torch.manual_seed(seed)
    heads = HorizonHeads(6, (1, 5), [level / 100 for level in sorted(levels)])
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.normal_(0.0, size)
    point, quantiles = heads(torch.randn(20, 6) * 3)
    assert point.shape == (20, 2)
    assert quantiles.shape == (20, 2, len(levels))
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_before_training_quantiles_are_those_of_a_standard_normal() -> None:
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    heads = HorizonHeads(8, (1,), levels)
    with torch.no_grad():
        heads.heads["h1"].output.weight.zero_()
    _, quantiles = heads(torch.randn(3, 8))
    expected = torch.tensor([NormalDist().inv_cdf(level) for level in levels])
    torch.testing.assert_close(quantiles[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_small_initialisation_is_small_but_not_constant() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 32)
    small, _ = HorizonHeads(32, (1, 5), (0.5,), small_init=True)(x)
    large, _ = HorizonHeads(32, (1, 5), (0.5,), small_init=False)(x)
    assert (small.std(0) > 0.001).all()
    assert (small.std(0) < 0.1).all()
    assert (large.std(0) > 0.1).all()


def test_each_horizon_has_its_own_parameters() -> None:
    heads = HorizonHeads(4, (5, 1), (0.1, 0.9))
    assert list(heads.heads) == ["h5", "h1"]
    point, quantiles = heads(torch.randn(7, 4))
    (point[:, 0].sum() + quantiles[:, 0].sum()).backward()
    reached = {
        name: max(float(p.grad.abs().sum()) for p in head.parameters() if p.grad is not None) > 0
        for name, head in heads.heads.items()
    }
    assert reached == {"h5": True, "h1": False}
