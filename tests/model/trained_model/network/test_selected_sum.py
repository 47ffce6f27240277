"""The selected sum worked by hand against ordinary operations differentiated by torch."""

import pytest
import torch
from torch import Tensor

from model.trained_model.network import selected_sum as module
from model.trained_model.network.selected_sum import by_operations, selected_sum

Arguments = tuple[list[Tensor], Tensor, Tensor, Tensor, Tensor, Tensor]


def _arguments(rows: int, features: int, channels: int, dtype: torch.dtype = torch.float64) -> Arguments:
    generator = torch.Generator().manual_seed(rows + features)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    width, hidden = 6, 4
    v = torch.softmax(normal(rows, features), dim=-1).detach().requires_grad_()
    first, skip = normal(features, channels + 1, width), normal(channels + 1, features, hidden)
    values = [normal(rows, features) for _ in range(channels)]
    return values, v, first, normal(features * width, hidden), normal(features, hidden), skip


def _leaves(arguments: Arguments) -> list[Tensor]:
    return [*arguments[0], *arguments[1:]]


def _joined(found: tuple[Tensor, Tensor]) -> Tensor:
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("rows", "features"), [(1, 3), (57, 3), (40, 50), (23, 200)])
@pytest.mark.parametrize("numbers", [1, 900, 100_000])
def test_values_and_gradients_are_those_of_the_ordinary_operations(
    channels: int, rows: int, features: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 1)
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", numbers)  # from a row in a block to all rows in one
    arguments = _arguments(rows, features, channels)
    weight = torch.randn(rows, 8, dtype=torch.float64)
    found, expected = _joined(selected_sum(*arguments)), _joined(by_operations(*arguments))
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad((found * weight).sum(), _leaves(arguments))
    for gradient, reference in zip(
        gradients, torch.autograd.grad((expected * weight).sum(), _leaves(arguments)), strict=True
    ):
        torch.testing.assert_close(gradient, reference)


def test_features_that_need_no_gradient_cost_none_and_change_nothing() -> None:
    arguments = _arguments(30, 5, 2)
    fixed = ([value.detach() for value in arguments[0]], *arguments[1:])
    wanted = _leaves(arguments)[2:]
    for gradient, reference in zip(
        torch.autograd.grad(_joined(selected_sum(*fixed)).sum(), wanted),
        torch.autograd.grad(_joined(selected_sum(*arguments)).sum(), wanted),
        strict=True,
    ):
        assert torch.equal(gradient, reference)


def test_reduced_precision_is_near_full_precision_and_its_gradients_are_of_the_parameters_type() -> None:
    arguments = _arguments(64, 10, 2, torch.float32)
    full = _joined(selected_sum(*arguments))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = _joined(selected_sum(*arguments))
    assert reduced.dtype == torch.bfloat16
    torch.testing.assert_close(reduced.float(), full, atol=0.1, rtol=0.05)
    gradients = torch.autograd.grad(reduced.float().sum(), _leaves(arguments))
    references = torch.autograd.grad(full.sum(), _leaves(arguments))
    for gradient, reference in zip(gradients, references, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, reference, atol=0.5, rtol=0.05)
