"""A device that is not the CPU and computes on it: what a GPU would refuse fails here on any machine.

Its tensors hold CPU tensors, but an operation that is given one of each raises, and so do NumPy and lists. The numbers
are the CPU's, so a training here has the same weights to rounding. Importing this module registers the device with
torch for good: only processes of their own do it.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from model.trained_model.network.atft_gat_fan import AtftGatFan
from model.trained_model.step import Forward


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("elsewhere", backend_module=_Module())
DEVICE = torch.device("elsewhere:0")
OPERATIONS: Counter[str] = Counter()
"""How often each operation ran on the device."""
_MAY_MIX = frozenset(f"aten::{name}" for name in ("copy_", "_to_copy", "index", "index_put", "index_put_"))
"""Operations that take tensors of the CPU and of a GPU."""


class There(torch.Tensor):
    """A tensor on the second device."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here: Tensor) -> "There":
        layout = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, here.size(), device=DEVICE, **layout)

    def __init__(self, here: Tensor) -> None:
        self.here = here

    def new_tensor(self, value: Any, dtype: torch.dtype | None = None) -> Tensor:
        """Torch finds no way to it through a wrapper."""
        return There(torch.tensor(value, dtype=dtype or self.dtype))

    def tolist(self) -> Any:
        """A copy to the CPU, then a list."""
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = operation._schema.name
    OPERATIONS[name] += 1
    leaves, form = tree.tree_flatten((args, kwargs))
    wrapped = {id(leaf.here): leaf for leaf in leaves if isinstance(leaf, There)}
    strangers = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, There) and x.dim()]
    if wrapped and strangers and name not in _MAY_MIX:
        raise RuntimeError(f"{name} was given tensors of two devices, one of them {list(strangers[0].shape)}.")
    wanted = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), DEVICE)
    inner = [
        x.here if isinstance(x, There) else torch.device("cpu") if isinstance(x, torch.device) else x for x in leaves
    ]
    args, kwargs = tree.tree_unflatten(inner, form)
    kwargs.pop("pin_memory", None)
    found = _LSTM.get(name, operation)(*args, **kwargs)
    if name == "aten::_to_copy" and wanted.type == "cpu":
        return found
    return tree.tree_map_only(Tensor, lambda x: wrapped[id(x)] if id(x) in wrapped else There(x), found)


def _cell(
    inputs: Tensor, hidden: Tensor, before: Tensor, first: Tensor | None = None, second: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The cell of an LSTM, which torch has for GPUs alone: hidden state, cell state, gates."""
    total = inputs + hidden + (0 if first is None else first) + (0 if second is None else second)
    i, f, g, o = total.chunk(4, 1)
    gates = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cell = gates[1] * before + gates[0] * gates[2]
    return gates[3] * cell.tanh(), cell, torch.cat(gates, 1)


def _cell_backward(
    d_hidden: Tensor | None, d_cell: Tensor | None, before: Tensor, cell: Tensor, gates: Tensor, bias: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    i, f, g, o = gates.chunk(4, 1)
    squashed = cell.tanh()
    d_out = torch.zeros_like(cell) if d_hidden is None else d_hidden
    d = d_out * o * (1 - squashed**2) + (0 if d_cell is None else d_cell)
    towards = d * g * i * (1 - i), d * before * f * (1 - f), d * i * (1 - g**2), d_out * squashed * o * (1 - o)
    both = torch.cat(towards, 1)
    return both, d * f, both.sum(0) if bias else None


_LSTM: Mapping[str, Callable[..., Any]] = {
    "aten::_thnn_fused_lstm_cell": _cell,
    "aten::_thnn_fused_lstm_cell_backward_impl": _cell_backward,
}
_arange = torch.arange


def _arange_there(*args: Any, device: torch.device | None = None, **kwargs: Any) -> Tensor:
    """Torch fills an empty tensor that it resizes, which a wrapper cannot follow."""
    here = _arange(*args, **kwargs)
    return here if device is None or torch.device(device).type == "cpu" else There(here)


torch.arange = _arange_there
_everything = torch.library.Library("_", "IMPL")
_everything.fallback(lambda operation, *args, **kwargs: _run(operation, args, kwargs), "PrivateUse1")

# Autocast as GPUs have it: products in bfloat16, sums and exponentials in float32, the rest as it comes.
_everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
_autocast = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
_IN_BFLOAT16 = ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "_thnn_fused_lstm_cell", "lstm_cell")
_IN_FLOAT32 = ("exp", "log", "log1p", "softplus", "layer_norm", "cumsum", "sum", "sum.dim_IntList", "rsqrt")
_IN_FLOAT32 += ("pow.Tensor_Scalar", "norm.Scalar", "softmax.int", "log_softmax.int", "logsumexp")


def _in_type(name: str, dtype: torch.dtype) -> None:
    packet, _, overload = name.partition(".")
    operation = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def cast(value: Any) -> Any:
        return value.to(dtype) if isinstance(value, There) and value.is_floating_point() else value

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
            return operation(*tree.tree_map(cast, args), **tree.tree_map(cast, kwargs))

    _autocast.impl(name, run)


for _name in _IN_BFLOAT16:
    _in_type(_name, torch.bfloat16)
for _name in _IN_FLOAT32:
    _in_type(_name, torch.float32)


class OnSecondDevice:
    """What a training needs of Lightning Fabric, which knows no such device."""

    world_size, global_rank, is_global_zero = 1, 0, True

    def __init__(self, device: torch.device, reduced: bool = False) -> None:
        self.device = device
        self.reduced = reduced

    def setup_module(self, module: Forward) -> Any:
        """The module on the device, in bfloat16 where asked for."""
        module.to(self.device)
        if self.reduced:
            module.forward = torch.autocast(self.device.type, torch.bfloat16)(module.forward)
        return module

    def setup_optimizers(self, optimizer: Any) -> Any:
        """As it is."""
        return optimizer

    def backward(self, loss: Tensor) -> None:
        """As torch has it."""
        loss.backward()

    def no_backward_sync(self, module: AtftGatFan, enabled: bool) -> contextlib.AbstractContextManager[None]:
        """There is nobody to wait for."""
        return contextlib.nullcontext()
