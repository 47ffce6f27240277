"""The encoder differentiated without its activations kept."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from model.trained_model.network import encoded
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig

STOCKS, LOOKBACK, FEATURES = 30, 10, 6
BLOCK = 8
"""Windows read at a time: three whole blocks and a shorter one."""
FORMS: list[dict[str, Any]] = [
    {"dropout": 0.3},
    {"dropout": 0.3, "adaptive_norm": "san", "vsn_transform": "grn"},
    {"dropout": 0.3, "freq_dropout_p": 0.2, "lstm_layers": 2},
    {"dropout": 0.3, "adaptive_norm": "none"},
    {"dropout": 0.3, "variable_selection": False, "recurrence": "min_gru"},
]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "WINDOWS_AT_A_TIME", BLOCK)


def _network(**changes: Any) -> AtftGatFan:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden": 16, "gat_hidden": 16, "gat_heads": 2, "attention_heads": 2, "vsn_width": 4}
    return AtftGatFan(NetworkConfig(**sizes, **changes), FEATURES, (1, 5), LOOKBACK)


def _inputs(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(STOCKS, LOOKBACK, FEATURES, generator=g).to(dtype)
    own = (torch.randn(STOCKS, LOOKBACK, generator=g) * 0.02).to(dtype)
    source = torch.randint(STOCKS, (60,), generator=g)
    target = (source + 1 + torch.randint(STOCKS - 1, (60,), generator=g)) % STOCKS
    return x, own, torch.stack([source, target]), torch.randn(60, 4, generator=g).to(dtype)


def _pass(net: AtftGatFan, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(3)
    inputs = _inputs(dtype)
    target = torch.randn(STOCKS, 2, generator=torch.Generator().manual_seed(2)).to(dtype)
    out = net(*inputs, PhaseSwitches.everything(net.config), target)
    return (out.point - target).square().mean() + out.quantiles.square().mean() + sum(out.auxiliary.values())


def _gradients(net: AtftGatFan, dtype: torch.dtype = torch.float32) -> tuple[Tensor, dict[str, Tensor]]:
    net.zero_grad()
    loss = _pass(net, dtype)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("form", FORMS)
def test_blocks_read_again_give_the_bits_of_blocks_kept(form: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout and dropped frequencies included: the second reading draws what the first drew."""
    net = _network(**form)
    net.activation_checkpointing = True
    loss, again = _gradients(net)

    def kept(encode: Callable[..., Any], *arguments: Tensor, use_reentrant: bool) -> Any:
        assert not use_reentrant
        return encode(*arguments)

    monkeypatch.setattr(encoded, "checkpoint", kept)
    loss_kept, gradients = _gradients(net)
    assert torch.equal(loss, loss_kept)
    assert again.keys() == gradients.keys() == dict(net.named_parameters()).keys()
    assert all(torch.equal(again[name], value) for name, value in gradients.items())


@pytest.mark.parametrize("form", FORMS)
def test_blocks_equal_all_windows_at_once(form: dict[str, Any]) -> None:
    net = _network(**{**form, "dropout": 0.0, "freq_dropout_p": 0.0, "edge_dropout": 0.0}).double()
    other = copy.deepcopy(net)
    other.activation_checkpointing = True
    loss, gradients = _gradients(net, torch.float64)
    loss_again, again = _gradients(other, torch.float64)
    assert torch.allclose(loss, loss_again, rtol=1e-12)
    for name, value in gradients.items():
        assert torch.allclose(again[name], value, rtol=1e-9, atol=1e-14), name


def test_the_selection_of_all_windows_comes_back() -> None:
    net = _network(dropout=0.0)
    net.activation_checkpointing = True
    found = net(*_inputs(), PhaseSwitches.everything(net.config)).selection
    net.activation_checkpointing = False
    assert torch.allclose(found, net(*_inputs(), PhaseSwitches.everything(net.config)).selection, atol=1e-6)


def _kept_numbers(net: AtftGatFan) -> int:
    """Numbers that a pass keeps for its gradient, parameters and inputs aside."""
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    seen: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes() // 4
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        loss = _pass(net)  # alive until here: no storage is counted for another
    assert loss.requires_grad
    return sum(seen.values())


def test_a_pass_keeps_a_small_part_of_its_numbers() -> None:
    net = _network()
    everything = _kept_numbers(net)
    net.activation_checkpointing = True
    assert _kept_numbers(net) < everything / 3


def test_nothing_is_read_twice_without_a_gradient() -> None:
    net = _network().eval()
    net.activation_checkpointing = True
    switches = PhaseSwitches.everything(net.config)
    with torch.no_grad():
        evaluated = net(*_inputs(), switches).point
        net.activation_checkpointing = False
        assert torch.equal(evaluated, net(*_inputs(), switches).point)
