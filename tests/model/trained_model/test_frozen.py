"""Phases that train a part alone, or leave one as it is, and phases with losses of their own."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import GuardConfig, LossConfig, PhaseConfig, PhaseLoss
from model.trained_model.results import TrainResult
from tests.model.trained_model.support import NETWORK, SHORT, TRAINING, state_hash, trained

SAN = replace(NETWORK, adaptive_norm="san", san_slice=3)
STATISTICS = PhaseConfig(
    name="statistics",
    epochs=2,
    lr=5e-3,
    graph=False,
    train_only=("san",),
    loss=PhaseLoss(rank_ic=0, cs_ic=0, sharpe=0, pointwise=0, direction=0, pinball=1, auxiliary=1),
)
REST = PhaseConfig(name="rest", epochs=2, lr=2e-3, freeze=("san",))
FLAG = GuardConfig(degenerate="flag")


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def of_part(result: TrainResult, part: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in result.state.items() if name.startswith(f"{part}.")}


def test_san_learns_its_statistics_first_and_keeps_their_bits_while_the_rest_learns(panel: FoldPanel) -> None:
    first = trained(panel, replace(TRAINING, phases=(STATISTICS,), guards=FLAG, weight_decay=0.5), network=SAN)
    both = trained(panel, replace(TRAINING, phases=(STATISTICS, REST), guards=FLAG, weight_decay=0.5), network=SAN)
    untouched = trained(
        panel, replace(TRAINING, phases=(replace(STATISTICS, lr=1e-30),), guards=FLAG, weight_decay=0.5), network=SAN
    )
    assert state_hash(of_part(both, "san")) == state_hash(of_part(first, "san"))
    assert state_hash(of_part(first, "san")) != state_hash(of_part(untouched, "san"))
    for part in ("vsn", "temporal", "gat", "fusion", "heads"):
        assert state_hash(of_part(first, part)) == state_hash(of_part(untouched, part)), part
        assert state_hash(of_part(both, part)) != state_hash(of_part(first, part)), part
    by_phase = {str(record["phase"]): record for record in both.history}
    assert by_phase["rest"]["frozen"] == "san" and by_phase["rest"]["gradient_san"] == 0.0
    assert float(by_phase["statistics"]["gradient_san"]) > 0 == float(by_phase["statistics"]["gradient_vsn"])
    assert set(by_phase["statistics"]) & {"loss_rank_ic", "loss_pointwise", "loss_pinball"} == {"loss_pinball"}
    assert both.parameter_count == first.parameter_count


def test_a_part_that_is_not_there_or_does_not_act_is_refused(panel: FoldPanel) -> None:
    with pytest.raises(TrainingError, match=r"names san .* parts of this network are vsn"):
        trained(panel, replace(SHORT, phases=(STATISTICS,)))
    off = replace(STATISTICS, adaptive_norm=False)
    with pytest.raises(TrainingError, match="would train nothing"):
        trained(panel, replace(SHORT, phases=(off,)), network=SAN)
    with pytest.raises(ValueError, match="not both"):
        replace(STATISTICS, freeze=("vsn",))


def test_a_phase_changes_the_weights_of_losses_for_itself_alone(panel: FoldPanel) -> None:
    plain = PhaseConfig(name="all", epochs=1, lr=2e-3)
    own = replace(plain, loss=PhaseLoss(rank_ic=0.0, pointwise=3.0))
    by_phase = trained(panel, replace(SHORT, phases=(own,)))
    everywhere = trained(panel, replace(SHORT, phases=(plain,), loss=LossConfig(min_names=3, rank_ic=0, pointwise=3)))
    assert state_hash(by_phase.state) == state_hash(everywhere.state)
    assert state_hash(by_phase.state) != state_hash(trained(panel, replace(SHORT, phases=(plain,))).state)


def test_a_training_of_quantiles_alone_is_refused_and_a_phase_of_them_is_not() -> None:
    quantiles = PhaseLoss(rank_ic=0, cs_ic=0, sharpe=0, pointwise=0, direction=0)
    alone = PhaseConfig(name="quantiles", epochs=1, lr=1e-3, loss=quantiles)
    others = PhaseConfig(name="all", epochs=1, lr=1e-3)
    with pytest.raises(ValueError, match=r"no phase trains the point prediction.*give one of rank_ic"):
        replace(SHORT, phases=(alone, replace(others, epochs=0)))
    only = LossConfig(rank_ic=0, cs_ic=0, sharpe=0, pointwise=0, direction=0)
    with pytest.raises(ValueError, match="no phase trains the point prediction"):
        replace(SHORT, loss=only)
    assert replace(SHORT, phases=(alone, others)).phases == (alone, others)


def test_weights_of_horizons_of_one_are_no_weights_and_others_shift_what_is_learnt(panel: FoldPanel) -> None:
    one = (PhaseConfig(name="all", epochs=1, lr=2e-3),)
    plain = trained(panel, replace(SHORT, phases=one))
    ones = trained(panel, replace(SHORT, phases=one, loss=LossConfig(min_names=3, horizon_weights={1: 1.0, 5: 1.0})))
    tilted = trained(panel, replace(SHORT, phases=one, loss=LossConfig(min_names=3, horizon_weights={5: 4.0})))
    assert state_hash(ones.state) == state_hash(plain.state) != state_hash(tilted.state)
    of_phase = (replace(one[0], loss=PhaseLoss(horizon_weights={5: 4.0})),)
    assert state_hash(trained(panel, replace(SHORT, phases=of_phase)).state) == state_hash(tilted.state)
    with pytest.raises(ValueError, match="horizon 20; the horizons predicted are 1, 5"):
        trained(panel, replace(SHORT, loss=LossConfig(min_names=3, horizon_weights={20: 2.0})))
