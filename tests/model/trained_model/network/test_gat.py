"""Graph attention against a dense masked reference, and the task that only GATv2 can learn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import GATConv

from model.trained_model.network.gat import SELF_LOOP_ATTRIBUTES, GraphAttention


def _graph(nodes: int, edges: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.tensor([(i, j) for i in range(nodes) for j in range(nodes) if i != j])
    chosen = torch.randperm(len(pairs), generator=generator)[:edges]
    return pairs[chosen].T.contiguous(), torch.randn(edges, 4, generator=generator)


def _dense_layer(gat: GraphAttention, x: Tensor, edge_index: Tensor, edge_attr: Tensor, temperature: float) -> Tensor:
    conv = gat.layers[0]
    n, heads, size = x.shape[0], conv.heads, conv.out_channels
    attributes = torch.zeros(n, n, 4, dtype=x.dtype)
    mask = torch.eye(n, dtype=torch.bool)
    attributes[torch.arange(n), torch.arange(n)] = torch.tensor(SELF_LOOP_ATTRIBUTES, dtype=x.dtype)
    for e in range(edge_index.shape[1]):
        source, target = edge_index[:, e].tolist()
        attributes[target, source] = edge_attr[e]
        mask[target, source] = True
    value = (x @ conv.lin_l.weight.T + conv.lin_l.bias).view(n, heads, size)
    asking = (x @ conv.lin_r.weight.T + conv.lin_r.bias).view(n, heads, size)
    edge = (attributes @ conv.lin_edge.weight.T).view(n, n, heads, size)
    z = functional.leaky_relu(asking[:, None] + value[None, :] + edge, 0.2)
    logits = (z * conv.att[0]).sum(-1) / temperature
    alpha = torch.softmax(logits.masked_fill(~mask[..., None], float("-inf")), dim=1)
    if conv.signed:
        alpha = alpha * torch.where(attributes[..., :1] < 0, -1.0, 1.0)
    out = torch.einsum("ijh,jhc->ihc", alpha, value).reshape(n, -1) + conv.bias
    return gat.norm(gat.output(out)).clamp(-gat.clip, gat.clip)


@pytest.mark.parametrize(("temperature", "hidden", "signed"), [(1.0, 8, False), (0.3, 12, False), (1.0, 8, True)])
def test_the_layer_equals_a_dense_masked_reference(temperature: float, hidden: int, signed: bool) -> None:
    torch.manual_seed(0)
    gat = GraphAttention(8, hidden=hidden, heads=2, temperature=temperature, signed=signed, clip=1.0).double().eval()
    x = torch.randn(15, 8, dtype=torch.float64)
    edge_index, edge_attr = _graph(15, 40, 1)
    edge_attr = edge_attr.double()
    expected = _dense_layer(gat, x, edge_index, edge_attr, temperature)
    torch.testing.assert_close(gat(x, edge_index, edge_attr), expected)


def test_isolated_nodes_and_an_empty_graph_attend_to_themselves() -> None:
    torch.manual_seed(1)
    gat = GraphAttention(6, hidden=8, heads=2, layers=2).eval()
    x = torch.randn(5, 6)
    empty = gat(x, torch.empty(2, 0, dtype=torch.int64), torch.empty(0, 4))
    assert torch.isfinite(empty).all()
    pair = gat(x, torch.tensor([[0, 1], [1, 0]]), torch.ones(2, 4))
    torch.testing.assert_close(pair[2:], empty[2:])
    assert (pair[:2] - empty[:2]).abs().max() > 1e-4


def test_disjoint_days_do_not_touch_each_other() -> None:
    torch.manual_seed(2)
    gat = GraphAttention(6, hidden=8, heads=2).eval()
    x = torch.randn(20, 6)
    edge_index, edge_attr = _graph(10, 30, 3)
    both = gat(x, torch.cat([edge_index, edge_index + 10], 1), torch.cat([edge_attr, edge_attr]))
    torch.testing.assert_close(both[:10], gat(x[:10], edge_index, edge_attr))
    torch.testing.assert_close(both[10:], gat(x[10:], edge_index, edge_attr))


def test_the_sign_of_a_correlation_matters() -> None:
    torch.manual_seed(3)
    gat = GraphAttention(6, hidden=8, heads=2).eval()
    x = torch.randn(3, 6)
    edges = torch.tensor([[0, 1], [2, 2]])
    plus = gat(x, edges, torch.tensor([[0.8, 0.8, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]))
    minus = gat(x, edges, torch.tensor([[-0.8, 0.8, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]))
    assert (plus[2] - minus[2]).abs().max() > 1e-4


def test_edge_dropout_acts_in_training_only_and_never_on_self_loops() -> None:
    torch.manual_seed(4)
    gat = GraphAttention(6, hidden=8, heads=2, edge_dropout=0.9)
    x = torch.randn(10, 6)
    edge_index, edge_attr = _graph(10, 60, 5)
    assert (gat(x, edge_index, edge_attr) != gat(x, edge_index, edge_attr)).any()
    assert torch.isfinite(gat(x, edge_index, edge_attr)).all()
    gat.eval()
    assert torch.equal(gat(x, edge_index, edge_attr), gat(x, edge_index, edge_attr))


@pytest.mark.parametrize(
    ("edge_index", "edge_attr", "words"),
    [
        (torch.zeros(2, 1, dtype=torch.int64), torch.zeros(1, 4), "self loops"),
        (torch.tensor([[0], [1]]), torch.zeros(1, 2), "edge_attr"),
        (torch.tensor([[0.0], [1.0]]), torch.zeros(1, 4), "int64"),
        (torch.zeros(3, 0, dtype=torch.int64), torch.zeros(0, 4), "edge_index"),
    ],
)
def test_edges_of_the_wrong_kind_are_refused(edge_index: Tensor, edge_attr: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GraphAttention(4, hidden=4, heads=1)(torch.zeros(2, 4), edge_index, edge_attr)


def _dictionary_lookup_accuracy(layer: torch.nn.Module, width: int) -> float:
    """Trains ``layer`` to let each of k query nodes fetch the value of its own key node; accuracy afterwards."""
    k = 8
    keys = torch.arange(k)
    edge_index = torch.stack([keys.repeat(k), k + keys.repeat_interleave(k)])  # every key -> every query
    edge_attr = torch.zeros(k * k, 4)
    key_embedding, value_embedding = torch.nn.Embedding(k, width), torch.nn.Embedding(k + 1, width)
    read = torch.nn.Linear(width, k)
    modules = torch.nn.ModuleList([key_embedding, value_embedding, layer, read])
    optimiser = torch.optim.Adam(modules.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)

    def batch(size: int) -> tuple[Tensor, Tensor]:
        values = torch.stack([torch.randperm(k, generator=generator) for _ in range(size)])
        shown = torch.cat([values, torch.full((size, k), k)], dim=1)  # queries show no value
        x = (key_embedding(keys.repeat(size, 2)) + value_embedding(shown)).flatten(0, 1)
        offsets = (torch.arange(size) * 2 * k).repeat_interleave(k * k)
        out = layer(x, edge_index.repeat(1, size) + offsets, edge_attr.repeat(size, 1))
        return read(out.view(size, 2 * k, width)[:, k:]).flatten(0, 1), values.flatten()

    for _ in range(300):
        scores, truth = batch(32)
        optimiser.zero_grad()
        functional.cross_entropy(scores, truth).backward()
        optimiser.step()
    with torch.no_grad():
        scores, truth = batch(64)
    return float((scores.argmax(1) == truth).float().mean())


def test_the_dictionary_lookup_of_the_gatv2_paper_is_solved_and_static_attention_fails_it() -> None:
    torch.manual_seed(0)
    assert _dictionary_lookup_accuracy(GraphAttention(32, hidden=32, heads=1), 32) > 0.98
    assert _dictionary_lookup_accuracy(GATConv(32, 32, heads=1, edge_dim=4), 32) < 0.6


def test_no_file_is_left_in_the_folder_for_temporary_ones(tmp_path: Path) -> None:
    script = """
import torch
from model.trained_model.network import gat
part = gat.GraphAttention(8, hidden=8, heads=2)
gat.by_hand = lambda x: False  # the methods that the library wrote still work
part(torch.randn(3, 8), torch.tensor([[0], [1]]), torch.randn(1, 4)).sum().backward()
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=Path(__file__).parents[4])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
