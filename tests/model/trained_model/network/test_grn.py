"""Gating blocks against their formulas written out."""

import pytest
import torch
from torch.nn import functional

from model.trained_model.network.grn import GRN, GateAddNorm, GroupedGRN, SharedDropout


def test_the_grn_equals_its_formula_with_and_without_context() -> None:
    torch.manual_seed(0)
    for inputs, outputs, context in ((5, 3, 0), (4, 4, 2)):
        grn = GRN(inputs, 6, outputs, context=context).double()
        a = torch.randn(7, inputs, dtype=torch.float64)
        c = torch.randn(7, context, dtype=torch.float64) if context else None
        eta = a @ grn.w2.weight.T + grn.w2.bias
        if c is not None and grn.w3 is not None:
            eta = eta + c @ grn.w3.weight.T
        eta = torch.where(eta > 0, eta, torch.expm1(eta)) @ grn.w1.weight.T + grn.w1.bias
        value, gate = (eta @ grn.gate.linear.weight.T + grn.gate.linear.bias).split(outputs, dim=-1)
        z = grn.skip(a) + value / (1 + torch.exp(-gate))
        expected = (z - z.mean(-1, keepdim=True)) / (z.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(grn(a, c), expected)


def test_the_grn_refuses_a_context_it_was_not_built_for() -> None:
    with pytest.raises(ValueError, match="context"):
        GRN(3, 3, 3)(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="context"):
        GRN(3, 3, 3, context=2)(torch.zeros(2, 3))


def test_the_grouped_grn_equals_one_grn_for_each_feature() -> None:
    torch.manual_seed(1)
    features, inputs, width = 4, 2, 3
    grouped = GroupedGRN(features, inputs, width)
    x = torch.randn(11, features, inputs)
    together = grouped(x)
    for j in range(features):
        single = GRN(inputs, width, width)
        with torch.no_grad():
            single.w2.weight.copy_(grouped.w2[j].T)
            single.w2.bias.copy_(grouped.b2[j, 0])
            single.w1.weight.copy_(grouped.w1[j].T)
            single.w1.bias.copy_(grouped.b1[j, 0])
            single.gate.linear.weight.copy_(grouped.w45[j].T)
            single.gate.linear.bias.copy_(grouped.b45[j, 0])
            single.skip.weight.copy_(grouped.skip[j].T)
            single.skip.bias.zero_()
        torch.testing.assert_close(together[:, j], single(x[:, j]))


def test_shared_dropout_keeps_one_mask_for_all_steps_and_rests_in_evaluation() -> None:
    torch.manual_seed(2)
    dropout = SharedDropout(0.5)
    out = dropout(torch.ones(8, 5, 6))
    assert (out == out[:, :1]).all()
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropout.eval()(torch.ones(8, 5, 6)), torch.ones(8, 5, 6))


def test_layer_scale_starts_at_its_value_and_shrinks_the_branch() -> None:
    torch.manual_seed(3)
    plain, scaled = GateAddNorm(4), GateAddNorm(4, layer_scale=1e-4)
    assert scaled.scale is not None
    assert plain.scale is None
    x, skip = torch.randn(5, 4), torch.randn(5, 4)
    torch.testing.assert_close(scaled(x, skip), functional.layer_norm(skip, (4,)), atol=1e-3, rtol=1e-3)
