"""The residual bypass: scaled columns, half-open gate, graph gradient kept alive."""

import pytest
import torch

from model.trained_model.network.fusion import ResidualFusion


def test_the_graph_columns_start_three_times_larger() -> None:
    torch.manual_seed(0)
    scaled = ResidualFusion(16, graph=True, init_scale=3.0).project.weight
    torch.manual_seed(0)
    plain = ResidualFusion(16, graph=True, init_scale=1.0).project.weight
    torch.testing.assert_close(scaled[:, 16:], plain[:, 16:] * 3.0)
    assert torch.equal(scaled[:, :16], plain[:, :16])


def test_the_gate_starts_half_open_and_blends_after_the_projection() -> None:
    torch.manual_seed(1)
    fusion = ResidualFusion(4, graph=True)
    features, graph = torch.randn(6, 4), torch.randn(6, 4)
    assert fusion.alpha.item() == 0.5
    expected = 0.5 * fusion.project(torch.cat([features, graph], 1)) + 0.5 * graph
    torch.testing.assert_close(fusion(features, graph), expected)


def test_gate_and_graph_receive_gradient() -> None:
    torch.manual_seed(2)
    fusion = ResidualFusion(4, graph=True)
    graph = torch.randn(6, 4, requires_grad=True)
    fusion(torch.randn(6, 4), graph).square().sum().backward()
    assert fusion.gate is not None
    assert fusion.gate.grad is not None
    assert graph.grad is not None
    assert fusion.gate.grad.abs() > 1e-6
    assert graph.grad.abs().min() > 1e-8


def test_without_a_graph_only_the_feature_columns_act() -> None:
    torch.manual_seed(3)
    fusion = ResidualFusion(4, graph=True)
    features = torch.randn(6, 4)
    projected = fusion.project(torch.cat([features, torch.zeros(6, 4)], 1))
    torch.testing.assert_close(fusion(features, None), projected)
    bare = ResidualFusion(4, graph=False)
    assert bare.alpha.item() == 1.0
    with pytest.raises(ValueError, match="without a graph"):
        bare(features, features)


def test_a_plain_projection_has_neither_gate_nor_scaled_columns() -> None:
    torch.manual_seed(0)
    plain = ResidualFusion(4, graph=True, bypass=False)
    features, graph = torch.randn(6, 4), torch.randn(6, 4)
    assert plain.gate is None and plain.alpha.item() == 1.0
    torch.testing.assert_close(plain(features, graph), plain.project(torch.cat([features, graph], 1)))
    torch.manual_seed(0)
    bypass = ResidualFusion(4, graph=True)
    torch.testing.assert_close(bypass.project.weight[:, 4:], 3.0 * plain.project.weight[:, 4:])
