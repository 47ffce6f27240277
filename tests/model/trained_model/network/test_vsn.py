"""Variable selection against a loop over features."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.trained_model.network.vsn import GatedSum, VariableSelectionNetwork


def _gated_sum_by_loop(part: GatedSum, x: Tensor, main: Tensor | None, v: Tensor) -> Tensor:
    """Feature by feature, step by step as the definition reads: weights outside the nonlinearity."""
    skip = torch.zeros(*x.shape[:2], part.bias.shape[1])
    inner = torch.zeros_like(skip)
    width = part.first.shape[2]
    for j in range(x.shape[2]):
        xi, weight = x[..., j : j + 1], v[..., j : j + 1]
        pre = xi * part.first[j, 0] + part.first[j, -1]
        linear = xi * part.skip[0, j] + part.skip[-1, j]
        if main is not None:
            pre = pre + main[..., j : j + 1] * part.first[j, 1]
            linear = linear + main[..., j : j + 1] * part.skip[1, j]
        second = part.second[j * width : (j + 1) * width]
        inner = inner + weight * (torch.relu(pre) @ second + part.bias[j])
        skip = skip + weight * linear
    value, gate = (inner @ part.gate.linear.weight.T + part.gate.linear.bias).chunk(2, dim=-1)
    return functional.layer_norm(skip + value * torch.sigmoid(gate), (skip.shape[-1],))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_batched_selection_equals_a_loop_over_features(channels: int) -> None:
    torch.manual_seed(0)
    vsn = VariableSelectionNetwork(5, 8, width=3, channels=channels)
    assert isinstance(vsn.transform, GatedSum)
    with torch.no_grad():
        for parameter in (vsn.transform.first, vsn.transform.skip, vsn.transform.bias):
            parameter.normal_()
    x = torch.randn(4, 6, 5)
    main = torch.randn(4, 6, 5) if channels == 2 else None
    out, v = vsn(x, main)
    torch.testing.assert_close(v, torch.softmax(vsn.selection(x), dim=-1))
    torch.testing.assert_close(out, _gated_sum_by_loop(vsn.transform, x, main, v), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("transform", ["gated_sum", "grn"])
def test_before_training_a_split_feature_acts_as_the_untouched_one(transform: str) -> None:
    torch.manual_seed(1)
    vsn = VariableSelectionNetwork(4, 8, channels=2, transform=transform)
    x, main = torch.randn(3, 5, 4), torch.randn(3, 5, 4)
    whole, split = vsn(x), vsn(x, main)
    torch.testing.assert_close(split[0], whole[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(split[1], whole[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("transform", ["gated_sum", "grn"])
def test_weights_sum_to_one_and_each_feature_reaches_the_output(transform: str) -> None:
    torch.manual_seed(2)
    vsn = VariableSelectionNetwork(6, 8, transform=transform)
    x = torch.randn(3, 5, 6, requires_grad=True)
    out, v = vsn(x)
    torch.testing.assert_close(v.sum(-1), torch.ones(3, 5))
    (gradient,) = torch.autograd.grad((out * torch.randn_like(out)).sum(), x)
    assert (gradient.abs() > 0).all()


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="second channel"):
        VariableSelectionNetwork(2, 4)(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2))
    with pytest.raises(ValueError, match="channels"):
        VariableSelectionNetwork(2, 4, channels=3)
    with pytest.raises(ValueError, match="transform"):
        VariableSelectionNetwork(2, 4, transform="loop")
