"""The gated skip worked by hand against ordinary operations differentiated by torch."""

import pytest
import torch
from torch import Tensor

from model.trained_model.network import gated_skip as module
from model.trained_model.network.gated_skip import by_operations, gated_rows, gated_skip, rows_by_operations
from model.trained_model.network.grn import GateAddNorm
from model.trained_model.network.projection import Affine
from model.trained_model.network.temporal import SequenceSkip

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
Arguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _arguments(length: int, windows: int, dtype: torch.dtype = torch.float64) -> Arguments:
    generator = torch.Generator().manual_seed(length + windows)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    inputs, width = 3, 4
    x, skip = normal(length, windows, inputs), normal(length, windows, width)
    return x, skip, normal(2 * width, inputs), normal(2 * width), normal(width), normal(width)


@pytest.mark.parametrize(("length", "windows"), [(1, 1), (1, 6), (5, 1), (7, 11)])
@pytest.mark.parametrize("numbers", [1, 60, 100_000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_gradients_are_those_of_the_ordinary_operations(
    length: int, windows: int, numbers: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", numbers)  # from a row in a block to all rows in one
    arguments = _arguments(length, windows, dtype)
    weight = torch.randn(length, windows, 4, dtype=dtype)
    results = []
    for form in (gated_skip, by_operations):
        out, newest = form(*arguments, 1e-5)
        loss = (out * weight).sum() + (newest * weight[0]).square().sum()
        results.append((out, newest, *torch.autograd.grad(loss, arguments)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, **({} if dtype == torch.float64 else TOLERANCE))


@pytest.mark.parametrize("needs_gradient", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_skip_given_as_its_linear_map_is_the_skip_formed_beforehand(
    needs_gradient: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", 40)
    x, _, *parameters = _arguments(6, 9, dtype)
    generator = torch.Generator().manual_seed(1)
    source = Affine(*(torch.randn(*s, generator=generator, dtype=dtype) for s in ((6, 9, 2), (4, 2), (4,))))
    for part in source[1:]:
        part.requires_grad_()
    source.inputs.requires_grad_(needs_gradient)
    leaves = [x, *parameters, *(part for part in source if part.requires_grad)]
    weight = torch.randn(6, 9, 4, generator=generator, dtype=dtype)
    results = []
    for form, skip in ((gated_skip, source), (by_operations, source), (by_operations, source.steps())):
        out, newest = form(x, skip, *parameters, 1e-5)  # type: ignore[arg-type]
        loss = (out * weight).sum() + (newest * weight[0]).square().sum()
        results.append((out, newest, *torch.autograd.grad(loss, leaves)))
    for found, *expected in zip(*results, strict=True):
        for reference in expected:
            torch.testing.assert_close(found, reference, **({} if dtype == torch.float64 else TOLERANCE))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rows_in_any_order_are_those_of_the_ordinary_operations(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", 60)
    arguments = _arguments(7, 11, dtype)
    weight = torch.randn(7, 11, 4, dtype=dtype)
    results = []
    for form in (gated_rows, rows_by_operations):
        out = form(*arguments, 1e-5)
        results.append((out, *torch.autograd.grad((out * weight).sum(), arguments)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, **({} if dtype == torch.float64 else TOLERANCE))


def test_a_skip_that_wants_no_gradient_changes_none_of_the_others() -> None:
    x, skip, *parameters = _arguments(5, 6)
    found, expected = (
        torch.autograd.grad(gated_rows(x, base, *parameters, 1e-5).square().sum(), [x, *parameters])
        for base in (skip.detach(), skip)
    )
    for gradient, reference in zip(found, expected, strict=True):
        assert torch.equal(gradient, reference)


def test_gradients_are_the_numerical_ones() -> None:
    assert torch.autograd.gradcheck(lambda *given: gated_skip(*given, 1e-5), _arguments(3, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize("layer_scale", [0.0, 0.3])
def test_a_sequence_skips_as_its_steps_do_one_by_one(layer_scale: float) -> None:
    torch.manual_seed(0)
    part, plain = SequenceSkip(6, 0.0, layer_scale), GateAddNorm(6, 0.0, layer_scale)
    plain.load_state_dict(part.state_dict())
    x, skip = torch.randn(2, 5, 3, 6)
    out, newest = part(x, skip)
    torch.testing.assert_close(out, plain(x, skip))
    assert torch.equal(newest, out[-1])
    found = torch.autograd.grad(out.square().sum(), list(part.parameters()))
    expected = torch.autograd.grad(plain(x, skip).square().sum(), list(plain.parameters()))
    for gradient, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-4, rtol=1e-4)


def test_dropout_keeps_its_mask_for_all_steps_of_a_window() -> None:
    torch.manual_seed(0)
    part = SequenceSkip(6, 0.5)
    out, _ = part(torch.ones(9, 4, 6), torch.zeros(9, 4, 6))
    assert torch.equal(out, out[:1].expand_as(out))
    assert not torch.equal(out[0, 0], out[0, 1])


def test_reduced_precision_is_near_full_precision_and_its_gradients_are_of_the_parameters_type() -> None:
    arguments = _arguments(20, 30, torch.float32)
    full, _ = gated_skip(*arguments, 1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced, _ = gated_skip(*arguments, 1e-5)
    assert reduced.dtype == torch.float32
    torch.testing.assert_close(reduced, full, atol=0.1, rtol=0.05)
    found = torch.autograd.grad(reduced.square().mean(), arguments)
    expected = torch.autograd.grad(full.square().mean(), arguments)
    for gradient, reference in zip(found, expected, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, reference, atol=0.02, rtol=0.1)


def test_reduced_precision_does_not_round_the_sum_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _, weight, *others = _arguments(20, 200, torch.float32)
    generator = torch.Generator().manual_seed(3)
    inputs, of_skip = (torch.randn(*shape, generator=generator) for shape in ((20, 200, 2), (4, 2)))
    source = Affine(inputs + 1.0, of_skip.requires_grad_(), torch.zeros(4))
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", 40)  # 400 blocks
    towards = torch.linspace(0.5, 1.0, 4)  # of one sign, so that what is rounded away adds up
    found = []
    for reduced in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            out, _ = gated_skip(x, source, weight, *others, 1e-5)
        found.append(torch.autograd.grad((out * towards * (1 + x.detach()[..., :1])).sum(), (weight, source.weight)))
    for full, rounded in zip(*found, strict=True):
        assert (full - rounded).norm() < 0.015 * full.norm()
