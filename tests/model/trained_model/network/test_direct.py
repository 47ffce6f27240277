"""The direct path: silent before training, linear and pairwise in the features, and a follower of those who lead."""

import torch
from torch import Tensor

from model.trained_model.network.direct import LEAD_AT_START, OFFSET_AT_START, DirectPath

EDGES = torch.tensor([[1, 2, 0], [0, 0, 1]])  # 1 and 2 are neighbours of 0, 0 of 1; 3 has none
ATTRIBUTES = torch.tensor([[0.5, 0.5, 0.0, 1.0], [-0.4, 0.4, 1.0, -0.5], [0.5, 0.5, 0.0, 0.2]])


def path(**changes: object) -> DirectPath:
    torch.manual_seed(0)
    return DirectPath(3, 2, **{"rank": 2, "graph": True, **changes})  # type: ignore[arg-type]


def awake(**changes: object) -> DirectPath:
    found = path(**changes)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.randn_like(parameter))
    return found


def test_before_training_it_adds_nothing_and_every_output_weight_has_a_gradient() -> None:
    direct = path()
    out = direct(torch.randn(4, 3), EDGES, ATTRIBUTES)
    assert torch.equal(out, torch.zeros(4, 2))
    (out * torch.randn(4, 2)).sum().backward()
    assert direct.neighbours is not None and direct.interactions is not None
    for layer in (direct.linear, direct.interactions, direct.neighbours.output):
        assert layer.weight.grad is not None and (layer.weight.grad != 0.0).any()


def test_the_path_equals_its_formula() -> None:
    direct, x = awake(), torch.randn(4, 3)
    assert direct.left is not None and direct.right is not None
    assert direct.interactions is not None and direct.neighbours is not None
    leaders = direct.neighbours
    expected = x @ direct.linear.weight.T
    expected = expected + ((x @ direct.left.weight.T) * (x @ direct.right.weight.T)) @ direct.interactions.weight.T

    def weight(edge: int) -> Tensor:
        source = int(EDGES[0, edge])
        logit = ATTRIBUTES[edge] @ leaders.of_edge + x[source] @ leaders.of_source.weight[0] + leaders.offset
        return torch.nn.functional.softplus(logit)

    own = torch.stack([x[0] - (x[0] + x[1] - x[2]) / 3, x[1] - (x[1] + x[0]) / 2, torch.zeros(3)])  # 2 hears nobody
    of_0 = weight(0) * own[1] - weight(1) * own[2]
    followed = torch.stack([of_0, weight(2) * own[0], torch.zeros(3), torch.zeros(3)])
    torch.testing.assert_close(direct(x, EDGES, ATTRIBUTES), expected + followed @ leaders.output.weight.T)


def test_untrained_it_follows_each_neighbour_by_how_far_it_led_and_none_that_never_did() -> None:
    leaders = path().neighbours
    assert leaders is not None
    assert leaders.of_edge.tolist() == [0.0, 0.0, 0.0, LEAD_AT_START] and leaders.offset.item() == OFFSET_AT_START
    with torch.no_grad():
        leaders.output.weight.fill_(1.0)
    edges = torch.tensor([[1, 2, 3, 4, 0, 0, 0, 0], [0, 0, 0, 0, 1, 2, 3, 4]])
    leads = torch.tensor([1.5, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    attributes = torch.stack([torch.full((8,), 0.5), torch.full((8,), 0.5), torch.zeros(8), leads], 1)

    def moved(who: int) -> float:
        """What name 0 is told when another one moves by 1."""
        return float(leaders(torch.eye(5)[:, [who]].repeat(1, 3), edges, attributes).detach()[0, 0])

    told = [moved(who) for who in (1, 2, 3, 4)]
    assert told[0] > told[1] > 5 * told[2] > 5 * told[3] > 0.0 and told[3] < 0.05 * told[1]
    both = torch.eye(5)[:, [1]] + torch.eye(5)[:, [2]]
    torch.testing.assert_close(
        leaders(both.repeat(1, 3), edges, attributes).detach()[0, 0], torch.tensor(told[0] + told[1])
    )


def test_parts_that_are_left_out_do_not_exist_and_without_a_graph_only_own_features_act() -> None:
    assert {name for name, _ in path(rank=0, graph=False).named_parameters()} == {"linear.weight"}
    direct, x = awake(), torch.randn(4, 3)
    alone = direct(x, None, None)
    other = x.clone()
    other[1] += 1.0
    torch.testing.assert_close(direct(other, None, None)[[0, 2, 3]], alone[[0, 2, 3]])
    assert (direct(other, EDGES, ATTRIBUTES)[0] != direct(x, EDGES, ATTRIBUTES)[0]).all()
