"""Attention by hand against torch-geometric's own propagation with the same parameters: values and every gradient."""

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch_geometric.nn import GATv2Conv

from model.trained_model.network import edge_attention, gat
from model.trained_model.network.edge_attention import Edges, with_loops
from model.trained_model.network.gat import SELF_LOOP_ATTRIBUTES, TemperedGATv2Conv

LOOP = torch.tensor(SELF_LOOP_ATTRIBUTES, dtype=torch.float64)
GRAPHS = {
    "edges in any order, some twice": (9, torch.tensor([[3, 0, 3, 8, 1, 3, 2, 0], [1, 5, 1, 0, 5, 2, 3, 8]])),
    "nodes without a neighbour": (6, torch.tensor([[1, 4], [4, 1]])),
    "a node that all point to": (7, torch.tensor([[0, 1, 2, 4, 5, 6], [3, 3, 3, 3, 3, 3]])),
    "no edges": (4, torch.empty(2, 0, dtype=torch.int64)),
    "no nodes": (0, torch.empty(2, 0, dtype=torch.int64)),
}


def _layer(
    *, heads: int = 3, temperature: float = 0.7, signed: bool = True, dropout: float = 0.0, seed: int = 0
) -> TemperedGATv2Conv:
    torch.manual_seed(seed)
    layer = TemperedGATv2Conv(5, 4, heads=heads, dropout=dropout, temperature=temperature, signed=signed).double()
    torch.nn.init.normal_(layer.bias)
    return layer


def _nodes(number: int) -> Tensor:
    return torch.randn(number, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(number))


def _edges(graph: str) -> Edges:
    nodes, index = GRAPHS[graph]
    attributes = torch.randn(index.shape[1], 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return with_loops(index, attributes, nodes, LOOP)


def _results(layer: TemperedGATv2Conv, x: Tensor, edges: Edges, *, library: bool) -> list[Tensor]:
    """The output, and the gradients of nodes, attributes and parameters of a function of it."""
    x, attributes = x.detach().requires_grad_(), edges.attributes.detach().requires_grad_()
    edges = Edges(source=edges.source, target=edges.target, start=edges.start, attributes=attributes)
    torch.manual_seed(7)  # of dropout
    out = GATv2Conv.forward(layer, x, edges.index, attributes) if library else layer(x, edges)
    wanted = [x, attributes, *layer.parameters()]
    return [out, *torch.autograd.grad((out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum(), wanted)]


def _assert_same(layer: TemperedGATv2Conv, x: Tensor, edges: Edges, tolerance: float) -> None:
    mine, theirs = (_results(layer, x, edges, library=library) for library in (False, True))
    for ours, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_values_and_all_gradients_are_those_of_the_library(graph: str, heads: int, dropout: float) -> None:
    layer = _layer(heads=heads, dropout=dropout)
    _assert_same(layer, _nodes(GRAPHS[graph][0]), _edges(graph), 1e-12)
    _assert_same(layer.eval(), _nodes(GRAPHS[graph][0]), _edges(graph), 1e-12)


@pytest.mark.parametrize(("temperature", "signed"), [(1.0, False), (0.2, False), (3.0, True)])
def test_temperature_and_sign_act_as_in_the_library(temperature: float, signed: bool) -> None:
    layer = _layer(temperature=temperature, signed=signed)
    _assert_same(layer, _nodes(9), _edges("edges in any order, some twice"), 1e-12)


def test_single_precision_agrees_to_its_rounding() -> None:
    graph = "edges in any order, some twice"
    edges = with_loops(GRAPHS[graph][1], torch.randn(8, 4), 9, LOOP)
    _assert_same(_layer().float(), _nodes(9).float(), edges, 1e-5)


def test_large_logits_do_not_overflow() -> None:
    layer = _layer(temperature=1e-4)
    _assert_same(layer, _nodes(7), _edges("a node that all point to"), 1e-9)


def test_the_gradient_is_the_numerical_one() -> None:
    layer, edges = _layer(), _edges("edges in any order, some twice")
    factor = torch.rand(len(edges.source), 3, dtype=torch.float64)

    def attention(nodes: Tensor, att: Tensor, weight: Tensor, attributes: Tensor) -> Tensor:
        given = Edges(source=edges.source, target=edges.target, start=edges.start, attributes=attributes)
        return edge_attention.edge_attention(nodes, att, weight, given, factor, slope=0.2, temperature=0.7)

    inputs = (torch.randn(9, 24, dtype=torch.float64), layer.att, layer.lin_edge.weight, edges.attributes)
    assert torch.autograd.gradcheck(attention, tuple(value.detach().requires_grad_() for value in inputs))


def test_results_do_not_depend_on_where_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, edges = _layer(), _edges("edges in any order, some twice")
    whole = _results(layer, _nodes(9), edges, library=False)
    monkeypatch.setattr(edge_attention, "NUMBERS_AT_A_TIME", 60)  # five edges
    for cut, once in zip(_results(layer, _nodes(9), edges, library=False), whole, strict=True):
        torch.testing.assert_close(cut, once, rtol=1e-12, atol=1e-12)


def test_a_number_of_threads_gives_its_bits_again_and_values_are_those_of_any_number() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(400).repeat_interleave(20)
    source = (target + torch.randint(1, 400, (8000,), generator=generator)) % 400
    edges = with_loops(torch.stack([source, target]), torch.randn(8000, 4, generator=generator), 400, LOOP)
    layer, x, found = _layer().float(), torch.randn(400, 5, generator=generator), []
    before = torch.get_num_threads()
    for threads in (1, 2, 1, 2):
        torch.set_num_threads(threads)
        found.append(_results(layer, x, edges, library=False))
    torch.set_num_threads(before)
    for first, again in ((found[0], found[2]), (found[1], found[3])):
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.equal(found[0][0], found[1][0])
    # some libraries add up the gradient of a weight, a sum over all edges, thread by thread
    for one, other in zip(found[0], found[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_evaluation_without_gradients_gives_the_bits_of_training() -> None:
    layer, edges = _layer(), _edges("edges in any order, some twice")
    trained = layer(_nodes(9), edges)
    with torch.no_grad():
        assert torch.equal(layer.eval()(_nodes(9), edges), trained)


def test_autocast_keeps_the_attention_in_the_type_of_the_weights() -> None:
    layer, x, edges = _layer().float(), _nodes(9).float(), _edges("edges in any order, some twice")
    edges = Edges(source=edges.source, target=edges.target, start=edges.start, attributes=edges.attributes.float())
    exact = _results(layer, x, edges, library=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, edges)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, exact[0], rtol=0.05, atol=0.05)
    (gradient,) = torch.autograd.grad(out.sum(), [layer.lin_l.weight])
    assert gradient.dtype == torch.float32
    assert torch.isfinite(gradient).all()


def test_checkpointing_gives_the_same_gradients() -> None:
    layer, edges = _layer(dropout=0.4), _edges("edges in any order, some twice")
    gradients = []
    for again in (False, True):
        torch.manual_seed(3)
        x = _nodes(9).requires_grad_()
        out = checkpoint(layer, x, edges, use_reentrant=False) if again else layer(x, edges)
        gradients.append(torch.autograd.grad(out.square().sum(), [x, *layer.parameters()]))
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_a_compiler_gets_the_operations_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, edges = _layer(), _edges("edges in any order, some twice")
    expected = _results(layer, _nodes(9), edges, library=True)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not gat.by_hand(_nodes(9))
    monkeypatch.undo()
    monkeypatch.setattr(gat, "by_hand", lambda nodes: False)
    assert torch.equal(layer(_nodes(9), edges), expected[0])


def test_loops_come_last_among_the_edges_of_their_node_and_the_rest_keep_their_order() -> None:
    attributes = torch.arange(5.0).repeat(4, 1).T.contiguous()
    edges = with_loops(torch.tensor([[3, 0, 1, 2, 0], [1, 3, 3, 1, 3]]), attributes, 4, LOOP)
    assert edges.target.tolist() == [0, 1, 1, 1, 2, 3, 3, 3, 3]
    assert edges.source.tolist() == [0, 3, 2, 1, 2, 0, 1, 0, 3]
    assert edges.start.tolist() == [0, 1, 4, 5, 9]
    assert edges.attributes[[1, 2, 5, 6, 7], 0].tolist() == [0.0, 3.0, 1.0, 2.0, 4.0]
    assert torch.equal(edges.attributes[[0, 3, 4, 8]], LOOP.float().expand(4, -1))


def test_the_parameters_are_those_of_the_library() -> None:
    theirs = GATv2Conv(5, 4, heads=3, add_self_loops=False, edge_dim=4)
    shapes = {name: value.shape for name, value in _layer().state_dict().items()}
    assert shapes == {name: value.shape for name, value in theirs.state_dict().items()}
