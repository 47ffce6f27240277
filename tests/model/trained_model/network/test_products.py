"""Linear maps with what follows them, in one kernel and in ordinary operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.trained_model.network.products import linear, linear_plus, linear_times, sigmoid_of_linear


def _given(rows: int, inputs: int, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shapes = (rows, inputs), (outputs, inputs), (outputs,), (rows, outputs)
    x, weight, bias, other = (torch.randn(*shape, generator=generator) for shape in shapes)
    return x, weight, bias, other


Form = Callable[[Tensor, Tensor, Tensor, Tensor, torch.dtype], Tensor]
FORMS: dict[str, tuple[Form, Callable[[Tensor, Tensor], Tensor]]] = {
    "alone": (lambda x, w, b, other, product: linear(x, w, b, product), lambda map_, other: map_),
    "sigmoid": (
        lambda x, w, b, other, product: sigmoid_of_linear(x, w, b, product),
        lambda map_, other: map_.sigmoid(),
    ),
    "times": (linear_times, lambda map_, other: map_ * other),
    "plus": (linear_plus, lambda map_, other: map_ + other),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(0, 3, 4), (1, 1, 1), (7, 5, 3), (1000, 20, 64)])
@pytest.mark.parametrize("onednn", [True, False])
def test_a_map_and_what_follows_are_those_of_double_precision(
    form: str, rows: int, inputs: int, outputs: int, onednn: bool
) -> None:
    given = _given(rows, inputs, outputs)
    x, weight, bias, other = (value.double() for value in given)
    found, expected = FORMS[form]
    with torch.backends.mkldnn.flags(enabled=onednn):
        result = found(given[0], given[1], given[2], given[3], torch.float32)
    assert result.dtype == torch.float32
    reference = expected(x @ weight.t() + bias, other)
    torch.testing.assert_close(result.double(), reference, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("form", FORMS)
def test_rows_and_weights_may_lie_in_any_order_and_nothing_given_changes(form: str) -> None:
    given = _given(12, 6, 5)
    turned = [value.t().contiguous().t() for value in given]
    kept = [value.clone() for value in given]
    found, _ = FORMS[form]
    torch.testing.assert_close(
        found(turned[0], turned[1], turned[2], turned[3], torch.float32),
        found(given[0], given[1], given[2], given[3], torch.float32),
    )
    assert all(torch.equal(value, before) for value, before in zip(given, kept, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_reduced_precision_is_of_the_product_and_the_result_of_the_weights_type(form: str) -> None:
    x, weight, bias, other = _given(9, 4, 3)
    found, expected = FORMS[form]
    result = found(x, weight, bias, other, torch.bfloat16)
    assert result.dtype == torch.float32
    rounded = (x.bfloat16() @ weight.bfloat16().t()).float() + bias
    torch.testing.assert_close(result, expected(rounded, other), atol=0.05, rtol=0.05)


def test_a_map_needs_no_bias() -> None:
    x, weight, _, _ = _given(9, 4, 3)
    for onednn in (True, False):
        with torch.backends.mkldnn.flags(enabled=onednn):
            torch.testing.assert_close(linear(x, weight, None, torch.float32), x @ weight.t())
