"""Properties of the whole network."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.trained_model.network.atft_gat_fan import AtftGatFan, NetworkOutput, PhaseSwitches
from model.trained_model.network.config import NetworkConfig

HORIZONS = (1, 5, 10, 20)
BARE = PhaseSwitches(adaptive_norm=False, graph=False)
PLAIN: dict[str, Any] = {"variable_selection": False, "recurrence": "min_gru"}


def _config(**changes: Any) -> NetworkConfig:
    small: dict[str, Any] = {"hidden": 16, "gat_hidden": 16, "gat_heads": 2, "attention_heads": 2, "vsn_width": 4}
    return NetworkConfig(**{**small, **changes})


def _network(features: int = 6, lookback: int = 10, seed: int = 0, **changes: Any) -> AtftGatFan:
    torch.manual_seed(seed)
    return AtftGatFan(_config(**changes), features, HORIZONS, lookback)


def _batch(stocks: int, features: int = 6, lookback: int = 10, seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(stocks, lookback, features, generator=g)
    own = torch.randn(stocks, lookback, generator=g) * 0.02
    source = torch.randint(stocks, (3 * stocks,), generator=g)
    target = (source + 1 + torch.randint(stocks - 1, (3 * stocks,), generator=g)) % stocks
    return x, own, torch.stack([source, target]), torch.randn(3 * stocks, 4, generator=g)


def _everything(net: AtftGatFan) -> PhaseSwitches:
    return PhaseSwitches.everything(net.config)


def _wake(net: AtftGatFan) -> AtftGatFan:
    """Parameters that start at zero by design get values, so that every path carries signal."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return net


@settings(max_examples=20, deadline=None)
@given(
    lookback=st.integers(3, 61),
    kind=st.sampled_from(["fan", "san", "none"]),
    entry=st.sampled_from([{}, {"vsn_transform": "grn"}, {"variable_selection": False}]),
    recurrence=st.sampled_from(["lstm", "min_gru"]),
    main=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_newest_day_moves_every_output_for_every_lookback(
    lookback: int, kind: str, entry: dict[str, Any], recurrence: str, main: bool, seed: int
) -> None:
    changes = {"adaptive_norm": kind, "recurrence": recurrence, "adaptive_main_channel": main, "fan_top_k": 1, **entry}
    net = _network(3, lookback, seed, **changes).eval()
    x, own, edge_index, edge_attr = _batch(4, 3, lookback, seed)
    x.requires_grad_()
    out = net(x, own, edge_index, edge_attr, _everything(net))
    for h in range(len(HORIZONS)):
        (gradient,) = torch.autograd.grad(out.point[:, h].sum(), x, retain_graph=True)
        assert (gradient[:, -1].abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize("kind", ["fan", "san"])
def test_the_newest_own_return_moves_every_output(kind: str) -> None:
    net = _wake(_network(adaptive_norm=kind)).eval()
    x, own, edge_index, edge_attr = _batch(5)
    own.requires_grad_()
    out = net(x, own, edge_index, edge_attr, _everything(net))
    (gradient,) = torch.autograd.grad(out.point.sum(), own)
    assert (gradient[:, -1].abs() > 0).all()


@pytest.mark.parametrize("changes", [{}, PLAIN])
@pytest.mark.parametrize("kind", ["fan", "san", "none"])
def test_permuting_the_stocks_permutes_the_output(kind: str, changes: dict[str, Any]) -> None:
    net = _wake(_network(adaptive_norm=kind, **changes)).eval()
    x, own, edge_index, edge_attr = _batch(12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    place = torch.empty_like(order)
    place[order] = torch.arange(12)
    switches = _everything(net)
    before = net(x, own, edge_index, edge_attr, switches)
    after = net(x[order], own[order], place[edge_index], edge_attr, switches)
    torch.testing.assert_close(after.point, before.point[order], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after.quantiles, before.quantiles[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_one_stock_alone_equals_itself_in_a_batch_while_the_graph_is_off(changes: dict[str, Any]) -> None:
    net = _wake(_network(**changes)).eval()
    x, own, _, _ = _batch(9)
    switches = PhaseSwitches(adaptive_norm=True, graph=False)
    together = net(x, own, None, None, switches)
    alone = net(x[4:5], own[4:5], None, None, switches)
    torch.testing.assert_close(alone.point, together.point[4:5], atol=1e-5, rtol=1e-4)


def test_evaluating_twice_gives_the_same_bits_and_a_target_changes_nothing() -> None:
    net = _network(dropout=0.5, freq_dropout_p=0.3, edge_dropout=0.5, gat_dropout=0.5).eval()
    batch = _batch(8)
    first = net(*batch, _everything(net))
    second = net(*batch, _everything(net), torch.randn(8, 4))
    assert torch.equal(first.point, second.point)
    assert torch.equal(first.quantiles, second.quantiles)
    assert first.auxiliary == {}
    assert list(second.auxiliary) == ["fan"]


@pytest.mark.parametrize("kind", ["fan", "san"])
@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_single_precision_agrees_with_double(kind: str, changes: dict[str, Any]) -> None:
    net = _wake(_network(adaptive_norm=kind, **changes)).eval()
    x, own, edge_index, edge_attr = _batch(10)
    single = net(x, own, edge_index, edge_attr, _everything(net))
    net.double()
    double = net(x.double(), own.double(), edge_index, edge_attr.double(), _everything(net))
    torch.testing.assert_close(single.point.double(), double.point, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(single.quantiles.double(), double.quantiles, atol=1e-3, rtol=1e-3)


def test_quantiles_stay_ordered_and_selection_sums_to_one() -> None:
    for kind in ("fan", "san"):
        net = _wake(_network(adaptive_norm=kind)).eval()
        out = net(*_batch(30), _everything(net))
        assert out.point.shape == (30, 4)
        assert out.quantiles.shape == (30, 4, 5)
        assert (out.quantiles.diff(dim=-1) >= 0).all()
        assert out.selection is not None
        torch.testing.assert_close(out.selection.sum(-1), torch.ones(30))


def _loss(out: NetworkOutput, target: Tensor) -> Tensor:
    error = (out.point - target).square().mean() + (out.quantiles - target[..., None]).abs().mean()
    return error + sum(out.auxiliary.values(), torch.zeros(()))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adaptive_norm": "san"},
        {"vsn_transform": "grn"},
        {"gat_layers": 2, "gat_hidden": 8, "lstm_layers": 2, "layer_scale_init": 0.1},
        {**PLAIN, "lstm_layers": 2, "layer_scale_init": 0.1},
        {"adaptive_main_channel": False, "freq_dropout_p": 0.1},
        {"quantiles": (0.5,), "adaptive_norm": "none", "graph": False},
    ],
)
def test_every_parameter_of_every_part_receives_gradient_in_full_mode(changes: dict[str, Any]) -> None:
    net = _wake(_network(**changes))  # factors of what starts at zero have a gradient once it does not
    batch = _batch(40)
    _loss(net(*batch, _everything(net), torch.randn(40, 4)), torch.randn(40, 4)).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []
    for part, parameters in net.parameter_groups().items():
        norm = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
        assert norm > 1e-6, part


def test_parts_and_depths_hold_each_parameter_exactly_once() -> None:
    for changes in (
        {},
        {"adaptive_norm": "san", "lstm_layers": 2, "gat_layers": 2},
        {"adaptive_norm": "none", "graph": False},
        {**PLAIN, "lstm_layers": 2},
    ):
        net = _network(**changes)
        everything = sorted(id(p) for p in net.parameters())
        assert sorted(id(p) for group in net.parameter_groups().values() for p in group) == everything
        depths = net.layer_depths()
        assert sorted(id(p) for _, block in depths for p in block) == everything
        entry = "vsn" if net.config.variable_selection else "projection"
        assert (depths[0][0], depths[-1][0]) == (entry, "direct")
        assert all(block for _, block in depths)
    assert set(_network().parameter_groups()) == {
        "vsn",
        "temporal",
        "fan",
        "gat_input",
        "gat",
        "fusion",
        "heads",
        "direct",
    }


def test_inactive_parts_have_no_say_and_no_gradient() -> None:
    net = _network()
    x, own, _, _ = _batch(8)
    out = net(x, own, None, None, BARE, torch.randn(8, 4))
    assert out.auxiliary == {}
    _loss(out, torch.randn(8, 4)).backward()
    groups = net.parameter_groups()
    assert all(p.grad is None for part in ("fan", "gat") for p in groups[part])
    with torch.no_grad():
        for part in ("fan", "gat"):
            for parameter in groups[part]:
                parameter.fill_(7.0)
    net.eval()
    again = net(x, own, None, None, BARE)
    assert torch.isfinite(again.point).all()


@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_switching_fan_on_does_not_jolt_an_untrained_input(changes: dict[str, Any]) -> None:
    net = _network(**changes).eval()
    x, own, _, _ = _batch(8)
    with torch.no_grad():  # only the restored shift may differ
        net.get_submodule("fan.norm.w3").weight.zero_()
        net.get_submodule("fan.norm.w3").bias.zero_()
    off = net(x, own, None, None, BARE)
    on = net(x, own, None, None, PhaseSwitches(adaptive_norm=True, graph=False))
    torch.testing.assert_close(on.point, off.point, atol=1e-5, rtol=1e-4)


def test_the_graph_changes_predictions_and_an_empty_graph_is_allowed() -> None:
    net = _network().eval()
    x, own, edge_index, edge_attr = _batch(8)
    linked = net(x, own, edge_index, edge_attr, _everything(net))
    empty = net(x, own, edge_index[:, :0], edge_attr[:0], _everything(net))
    assert torch.isfinite(empty.point).all()
    assert (linked.point - empty.point).abs().max() > 1e-5


def test_missing_labels_do_not_enter_the_auxiliary_loss() -> None:
    net = _wake(_network()).eval()
    batch = _batch(8)
    target = torch.randn(8, 4)
    target[3:] = float("nan")
    part = net(*batch, _everything(net), target).auxiliary["fan"]
    x, own, _, _ = batch
    only = net(x[:3], own[:3], None, None, PhaseSwitches(adaptive_norm=True, graph=False), target[:3])
    torch.testing.assert_close(part, only.auxiliary["fan"])
    nothing = net(*batch, _everything(net), torch.full((8, 4), float("nan")))
    assert nothing.auxiliary["fan"].item() == 0.0


def test_a_parameter_count_other_than_stated_is_fatal_and_names_both() -> None:
    count = _network().parameter_count()
    assert _network(expected_parameters=count).parameter_count() == count
    with pytest.raises(ValueError, match=f"{count:,}.*{count + 1:,}"):
        _network(expected_parameters=count + 1)


def test_wrong_shapes_and_switches_are_refused() -> None:
    net = _network()
    x, own, edge_index, edge_attr = _batch(5)
    with pytest.raises(ValueError, match=r"x must be \[B, 10, 6\]"):
        net(x[:, :, :5], own, None, None, BARE)
    with pytest.raises(ValueError, match="own_return"):
        net(x, own[:, 1:], None, None, BARE)
    with pytest.raises(ValueError, match="no edges"):
        net(x, own, None, None, _everything(net))
    bare = _network(adaptive_norm="none", graph=False)
    with pytest.raises(ValueError, match="graph is false"):
        bare(x, own, edge_index, edge_attr, PhaseSwitches(adaptive_norm=False, graph=True))
    with pytest.raises(ValueError, match="adaptive_norm is 'none'"):
        bare(x, own, None, None, PhaseSwitches(adaptive_norm=True, graph=False))
    with pytest.raises(ValueError, match="every feature would be exactly zero"):
        _network(lookback=4, fan_top_k=3, adaptive_main_channel=False)
    with pytest.raises(ValueError, match="Horizons"):
        AtftGatFan(_config(), 3, (5, 5), 10)
    with pytest.raises(ValueError, match="lookback"):
        AtftGatFan(_config(), 3, (5,), 2)


def test_two_days_in_one_batch_equal_each_day_alone() -> None:
    net = _wake(_network()).eval()
    first, second = _batch(7, seed=5), _batch(9, seed=6)
    stacked = net(
        torch.cat([first[0], second[0]]),
        torch.cat([first[1], second[1]]),
        torch.cat([first[2], second[2] + 7], dim=1),
        torch.cat([first[3], second[3]]),
        _everything(net),
    )
    torch.testing.assert_close(stacked.point[:7], net(*first, _everything(net)).point, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(stacked.point[7:], net(*second, _everything(net)).point, atol=1e-5, rtol=1e-4)


def test_a_copy_with_the_same_weights_predicts_the_same_bits() -> None:
    net = _wake(_network()).eval()
    batch = _batch(8)
    expected = net(*batch, _everything(net)).point
    assert torch.equal(copy.deepcopy(net)(*batch, _everything(net)).point, expected)
    other = _network(seed=9).eval()
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(*batch, _everything(net)).point, expected)


def test_the_same_seed_builds_the_same_network() -> None:
    first, second = _network(seed=4).state_dict(), _network(seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["fan", "san", "none"])
@pytest.mark.parametrize("changes", [{}, PLAIN])
def test_reduced_precision_stays_finite_and_ordered_and_predictions_are_not_rounded(
    kind: str, changes: dict[str, Any]
) -> None:
    net = _network(adaptive_norm=kind, **changes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(*_batch(20), _everything(net), torch.randn(20, 4))
        _loss(out, torch.randn(20, 4)).backward()
    assert torch.isfinite(out.point).all()
    assert out.point.dtype == out.quantiles.dtype == torch.float32  # names that are rounded together tie
    assert (out.quantiles.diff(dim=-1) >= 0).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_without_variable_selection_there_are_no_weights_to_see() -> None:
    net = _network(variable_selection=False)
    assert net(*_batch(8), _everything(net)).selection is None
    assert not [name for name in net.state_dict() if name.startswith("vsn")]


def test_a_mingru_has_blocks_and_parameters_of_its_own_name() -> None:
    net = _network(recurrence="min_gru", lstm_layers=2)
    names = [name for name, _ in net.layer_depths() if name.startswith("temporal")]
    assert names[:3] == ["temporal.min_gru.0", "temporal.min_gru.1", "temporal.min_gru_skip"]
    assert not [name for name in net.state_dict() if "lstm" in name]
