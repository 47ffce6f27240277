"""Linear maps with what follows them: a sigmoid, a factor or a summand.

oneDNN applies these to a block of the result before it leaves the processor's cache, adds the bias there, and
multiplies tall arrays by narrow ones about a tenth faster than ``torch.addmm``. Where it does not apply (a GPU, another
type than float32, a build without it) the same is done in ordinary operations. Nothing here but ``unrounded`` is
differentiated by torch: these are pieces for functions that have a backward pass of their own.
"""

import torch
from torch import Tensor, nn


def product_type(weight: Tensor) -> torch.dtype:
    """The type that matrix products take: what autocast asks for, else that of the weights."""
    device = weight.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, product: torch.dtype) -> Tensor:
    """x @ weight.T + bias, [rows, outputs], computed in the type ``product``, in the type of the weights.

    Args:
        x: [rows, inputs]
        weight: [outputs, inputs]
        bias: [outputs] or None.
    """
    if _in_one_kernel(x, weight, product):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out
    return _by_operations(x, weight, bias, product)


def sigmoid_of_linear(x: Tensor, weight: Tensor, bias: Tensor, product: torch.dtype) -> Tensor:
    """sigmoid(x @ weight.T + bias); arguments as for :func:`linear`."""
    if _in_one_kernel(x, weight, product):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "sigmoid", [], "")
        return out
    return _by_operations(x, weight, bias, product).sigmoid_()


def linear_times(x: Tensor, weight: Tensor, bias: Tensor, factor: Tensor, product: torch.dtype) -> Tensor:
    """(x @ weight.T + bias) * factor, the factor [rows, outputs] in the type of the weights."""
    if _in_one_kernel(x, weight, product):
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, factor, weight, bias, "mul")
        return out
    return _by_operations(x, weight, bias, product).mul_(factor)


def linear_plus(x: Tensor, weight: Tensor, bias: Tensor, summand: Tensor, product: torch.dtype) -> Tensor:
    """x @ weight.T + bias + summand, the summand [rows, outputs] in the type of the weights."""
    if _in_one_kernel(x, weight, product):
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, summand, weight, bias, "add")
        return out
    return _by_operations(x, weight, bias, product).add_(summand)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to ``total``, which may be of another type than the factors: its sum then is not rounded."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)


def unrounded(layer: nn.Linear, x: Tensor) -> Tensor:
    """The layer's output in the type of its weights, under autocast too: rounded to bfloat16, predictions would tie."""
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = layer(x.to(layer.weight.dtype))
    return out


def _in_one_kernel(x: Tensor, weight: Tensor, product: torch.dtype) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == product == torch.float32
        and len(x) > 0
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # made for torch's own compiler; it may go
    )


def _by_operations(x: Tensor, weight: Tensor, bias: Tensor | None, product: torch.dtype) -> Tensor:
    factor = weight.to(product).t()
    rows = x.to(product)
    out = torch.mm(rows, factor) if bias is None else torch.addmm(bias.to(product), rows, factor)
    return out.to(weight.dtype)
