"""Attention of the last query worked by hand against ordinary operations differentiated by torch."""

import pytest
import torch

from model.trained_model.network import last_query as module
from model.trained_model.network.last_query import by_operations, last_query
from model.trained_model.network.temporal import InterpretableAttention


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("windows", [2, 150])  # of 5: several blocks, one
def test_values_and_gradients_are_those_of_the_ordinary_operations(
    masked: bool, windows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOWS_AT_A_TIME", windows)
    torch.manual_seed(0)
    steps = torch.randn(7, 5, 6, dtype=torch.float64).transpose(0, 1).requires_grad_()  # time first in memory
    queries = torch.randn(5, 3, 6, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(5, 7, dtype=torch.float64) > 0.3) * 1.5 if masked else None
    results = []
    for form in (last_query, by_operations):
        pooled, weights = form(steps, queries, mask)
        loss = pooled.square().sum() + (weights * torch.linspace(0, 1, 7)).sum()
        results.append((pooled, weights, *torch.autograd.grad(loss, (steps, queries))))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_gradients_are_the_numerical_ones() -> None:
    torch.manual_seed(1)
    steps = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    queries = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(last_query, (steps, queries, torch.rand(2, 4, dtype=torch.float64)))


def test_the_newest_step_given_apart_changes_neither_values_nor_gradients() -> None:
    torch.manual_seed(2)
    attention = InterpretableAttention(12, 3).double().eval()
    steps = torch.randn(5, 7, 12, dtype=torch.float64, requires_grad=True)
    results = []
    for newest in (None, steps[:, -1]):
        out, weights = attention(steps, newest)
        leaves = [steps, *attention.parameters()]
        results.append((out, weights, *torch.autograd.grad(out.square().sum(), leaves)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
