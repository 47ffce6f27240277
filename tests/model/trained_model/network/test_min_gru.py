"""The minGRU worked by hand against a loop as the paper reads, and its gradient against numerical ones."""

import pytest
import torch
from torch import Tensor

from model.trained_model.network import min_gru as module
from model.trained_model.network.min_gru import MinGRU, by_operations, min_gru
from model.trained_model.network.projection import Affine


def _arguments(length: int, windows: int, inputs: int = 3, width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(length + windows)
    shapes = (length, windows, inputs), (2 * width, inputs), (2 * width,)
    first, second, third = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes
    )
    return first, second, third


def _loop(steps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Window by window, step by step."""
    width = len(weight) // 2
    rows = []
    for window in steps.unbind(1):
        h = torch.zeros(width, dtype=steps.dtype)
        states = []
        for x in window:
            z = 1 / (1 + torch.exp(-(weight[:width] @ x + bias[:width])))
            h = (1 - z) * h + z * (weight[width:] @ x + bias[width:])
            states.append(h)
        rows.append(torch.stack(states))
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize(("length", "windows"), [(1, 1), (1, 4), (5, 1), (7, 11)])
@pytest.mark.parametrize("numbers", [1, 90, 100_000])
def test_states_and_gradients_are_those_of_a_loop(
    length: int, windows: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", numbers)  # from a window in a block to all in one
    arguments = _arguments(length, windows)
    weight = torch.randn(length, windows, 4, dtype=torch.float64)
    expected = _loop(*arguments)
    references = torch.autograd.grad((expected * weight).sum(), arguments)
    for form in (min_gru, by_operations):
        found = form(*arguments)
        torch.testing.assert_close(found, expected)
        for gradient, reference in zip(torch.autograd.grad((found * weight).sum(), arguments), references, strict=True):
            torch.testing.assert_close(gradient, reference)


def test_gradients_are_the_numerical_ones() -> None:
    assert torch.autograd.gradcheck(min_gru, _arguments(4, 3))


def test_steps_that_need_no_gradient_change_nothing_in_the_weights_gradient() -> None:
    steps, weight, bias = _arguments(6, 5)
    found = torch.autograd.grad(min_gru(steps.detach(), weight, bias).sum(), (weight, bias))
    expected = torch.autograd.grad(min_gru(steps, weight, bias).sum(), (weight, bias))
    assert all(torch.equal(gradient, reference) for gradient, reference in zip(found, expected, strict=True))


def test_steps_that_are_not_contiguous_give_the_same() -> None:
    steps, weight, bias = _arguments(6, 5)
    turned = steps.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(min_gru(turned, weight, bias), min_gru(steps, weight, bias))


def test_reduced_precision_touches_products_only() -> None:
    steps, weight, bias = (value.detach().float().requires_grad_() for value in _arguments(20, 30))
    full = min_gru(steps, weight, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = min_gru(steps, weight, bias)
    assert reduced.dtype == torch.float32
    torch.testing.assert_close(reduced, full, atol=0.05, rtol=0.05)
    found = torch.autograd.grad(reduced.square().mean(), (steps, weight, bias))
    expected = torch.autograd.grad(full.square().mean(), (steps, weight, bias))
    for gradient, reference in zip(found, expected, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, reference, atol=0.01, rtol=0.1)


def test_reduced_precision_does_not_round_the_sum_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, weight, bias = (value.detach().float() for value in _arguments(20, 400))
    steps, weight = steps + 1.0, weight.requires_grad_()
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", 80)  # a window in a block
    found = []
    for reduced in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            states = min_gru(steps, weight, bias)
        found.extend(torch.autograd.grad(states.sum(), weight))  # of one sign, so that what is rounded away adds up
    assert (found[0] - found[1]).norm() < 0.015 * found[0].norm()


def test_single_precision_is_near_double_precision() -> None:
    exact = _arguments(20, 30)
    single = tuple(value.detach().float().requires_grad_() for value in exact)
    found, expected = min_gru(*single), min_gru(*exact)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    references = torch.autograd.grad(expected.square().mean(), exact)
    for gradient, reference in zip(torch.autograd.grad(found.square().mean(), single), references, strict=True):
        torch.testing.assert_close(gradient.double(), reference, atol=1e-5, rtol=1e-5)


def test_no_step_sees_a_later_one() -> None:
    steps, weight, bias = _arguments(6, 2)
    changed = steps.detach().clone()
    changed[4:] += 1.0
    before, after = min_gru(steps, weight, bias), min_gru(changed, weight, bias)
    assert torch.equal(before[:4], after[:4])
    assert not torch.equal(before[4], after[4])


def test_memory_is_kept_at_the_start() -> None:
    torch.manual_seed(0)
    for layer in MinGRU(32, layers=2).layers:
        gate, candidate = torch.as_tensor(layer.bias).chunk(2)
        assert gate.mean() < -0.5 and candidate.mean().abs() < 0.2


@pytest.mark.parametrize("layers", [1, 2])
def test_steps_and_the_fewer_numbers_that_they_are_made_of_give_the_same(layers: int) -> None:
    torch.manual_seed(1)
    part = MinGRU(8, layers).double()
    source = Affine(
        torch.randn(6, 5, 3, dtype=torch.float64),
        torch.randn(8, 3, dtype=torch.float64, requires_grad=True),
        torch.randn(8, dtype=torch.float64, requires_grad=True),
    )
    steps = source.steps()
    leaves = (source.weight, source.bias, *part.parameters())
    found, expected = part(source), part(steps)
    torch.testing.assert_close(found, expected)
    references = torch.autograd.grad(expected.square().sum(), leaves)
    for gradient, reference in zip(torch.autograd.grad(found.square().sum(), leaves), references, strict=True):
        torch.testing.assert_close(gradient, reference)


def test_a_second_derivative_is_refused_not_wrong() -> None:
    steps, weight, bias = _arguments(3, 2)
    (gradient,) = torch.autograd.grad(min_gru(steps, weight, bias).square().sum(), steps, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
