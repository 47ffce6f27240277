"""Guards: each condition with its reason and its remedy; they stop or flag and touch nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model import guards, session
from model.trained_model.checks import dead_parts
from model.trained_model.config import GuardConfig, PhaseConfig
from model.trained_model.network.atft_gat_fan import PhaseSwitches
from tests.model.trained_model.support import SHORT, TRAINING, state_hash, trained

BOTH = PhaseSwitches(adaptive_norm=True, graph=True)
SOUND = {
    "phase": "gat", "epoch": 3, "loss": 0.7, "edges_per_step": 40.0, "gradient_norm_max": 2.0,
    "gradient_attention": 1e-3, "gradient_gate": 1e-4,
}  # fmt: skip


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


@pytest.mark.parametrize(
    ("change", "guard", "says"),
    [
        ({"gradient_attention": 9e-7}, "dead graph", "raise gat_init_scale"),
        ({"gradient_attention": float("nan")}, "dead graph", "almost no gradient"),
        ({"gradient_gate": 0.0}, "dead gate", "no gradient"),
        ({"gradient_norm_max": 2e4}, "exploding gradient", "Lower the phase's lr"),
    ],
)
def test_a_sick_epoch_is_flagged_with_a_reason(change: dict[str, Any], guard: str, says: str) -> None:
    assert guards.judge_epoch(SOUND, BOTH, (), GuardConfig()) == {}
    found = guards.judge_epoch({**SOUND, **change}, BOTH, (), GuardConfig())
    assert set(found) == {guard}
    assert says in found[guard]


def test_what_is_frozen_or_switched_off_is_not_expected_to_learn() -> None:
    dead = {**SOUND, "gradient_attention": 0.0, "gradient_gate": 0.0}
    assert guards.judge_epoch(dead, BOTH, ("gat", "fusion"), GuardConfig()) == {}
    assert guards.judge_epoch(dead, PhaseSwitches(adaptive_norm=True, graph=False), (), GuardConfig()) == {}


def test_a_dead_graph_stops_the_training_where_asked() -> None:
    with pytest.raises(TrainingError, match="almost no gradient"):
        guards.judge_epoch({**SOUND, "gradient_attention": 0.0}, BOTH, (), GuardConfig(dead_graph="stop"))


def test_a_loss_of_exactly_zero_stops_the_training() -> None:
    with pytest.raises(TrainingError, match="exactly zero"):
        guards.judge_epoch({**SOUND, "loss": 0.0}, BOTH, (), GuardConfig())


def test_an_exploding_gradient_stops_at_its_step_where_asked() -> None:
    guards.stop_if_exploding(9e9, GuardConfig(), phase="gat", epoch=3, step=9)
    with pytest.raises(TrainingError, match=r"reached 9e\+09 in phase gat, epoch 3, step 9"):
        guards.stop_if_exploding(9e9, GuardConfig(exploding="stop"), phase="gat", epoch=3, step=9)


def test_predictions_wider_than_the_target_are_flagged_and_narrow_ones_are_not() -> None:
    assert guards.judge_predictions({1: 0.05, 5: 1.1}, "gat", GuardConfig()) == {}
    found = guards.judge_predictions({1: 0.05, 5: 1.3}, "gat", GuardConfig())
    assert "1.3 times on horizon 5" in found["wide predictions"]


def test_a_dead_horizon_stops_or_is_flagged_as_asked() -> None:
    with pytest.raises(TrainingError, match="horizon 5"):
        guards.judge_predictions({1: 0.05, 5: 1e-4}, "gat", GuardConfig())
    found = guards.judge_predictions({1: 0.05, 5: 1e-4}, "gat", GuardConfig(degenerate="flag"))
    assert "horizon 5" in found["dead horizon"]


def test_a_flagged_training_has_the_bits_of_one_that_nobody_watched(panel: FoldPanel) -> None:
    watched = replace(SHORT, guards=GuardConfig(max_gradient_norm=1e-6, max_std_ratio=1e-4, min_gat_gradient=1e9))
    free = replace(SHORT, guards=GuardConfig(max_gradient_norm=1e9, max_std_ratio=1e9, min_gat_gradient=0.0))
    flagged, quiet = trained(panel, watched), trained(panel, free)
    assert quiet.flags == ()
    assert len(flagged.flags) == 3, "each guard once a phase"
    assert state_hash(flagged.state) == state_hash(quiet.state)


@pytest.mark.parametrize(
    ("scores", "kept", "last", "outcome"),
    [
        ((0.9, 0.1), 0.1, 5.0, 0),
        ((0.9, 0.1), 5.0, 0.1, 1),
        ((0.9, 0.1), 0.1, 1e-6, 0),
        ((0.9, 0.1), 1e-6, 0.1, "stop"),
        ((None, None), 0.1, 1e-6, "stop"),
    ],
)
def test_the_predictions_of_the_epoch_that_is_kept_are_judged(
    panel: FoldPanel,
    monkeypatch: pytest.MonkeyPatch,
    scores: tuple[float | None, ...],
    kept: float,
    last: float,
    outcome: int | str,
) -> None:
    script = iter(zip(scores, (kept, last), strict=True))

    def scripted(*_: object) -> dict[str, float]:
        score, ratio = next(script)
        found = {f"val_std_ratio_{h}": ratio for h in panel.horizons}
        return found if score is None else {**found, "val_rank_ic": score}

    monkeypatch.setattr(session, "validate", scripted)
    if outcome == "stop":
        with pytest.raises(TrainingError, match="hardly differ"):
            trained(panel, SHORT)
    else:
        found = trained(panel, SHORT)
        assert found.best_epoch == 1
        assert [flag for flag in found.flags if "vary more" in flag] == list(found.flags)
        assert len(found.flags) == outcome


@pytest.mark.parametrize("graph", [True, False])
def test_parts_of_the_graph_are_idle_where_the_kept_epoch_had_none(panel: FoldPanel, graph: bool) -> None:
    phases = (PhaseConfig(name="only", epochs=1, lr=2e-3, graph=graph),)
    [record] = trained(panel, replace(TRAINING, phases=phases)).history
    assert dead_parts(record, {"adaptive_norm": True, "graph": graph}, has_graph=True) == []
    silent = {**record, "gradient_gat_input": 0.0, "gradient_heads": 0.0}
    dead = dead_parts(silent, {"adaptive_norm": True, "graph": graph}, has_graph=True)
    assert dead == (["gat_input", "heads"] if graph else ["heads"])


def test_every_epoch_logs_the_gradients_of_the_graph_the_gate_and_the_whole(panel: FoldPanel) -> None:
    before, after = (trained(panel, TRAINING).history[number] for number in (0, -1))
    assert before["gradient_gat"] == before["gradient_gate"] == 0.0 and "gate_alpha" not in before
    assert float(after["gradient_gat"]) > 0 and float(after["gradient_gate"]) > 0
    assert 0 < float(after["gate_alpha"]) < 1
    names = ("vsn", "temporal", "fan", "gat_input", "gat", "fusion", "heads", "direct")
    parts = [float(after[f"gradient_{part}"]) for part in names]
    assert float(after["gradient_norm"]) == pytest.approx(float(torch.tensor(parts).norm()), rel=1e-5)
    assert float(after["gradient_norm_max"]) >= float(after["gradient_norm"])
    assert float(after["loss"]) > 0


def test_a_phase_without_any_rank_ic_stops_and_says_that_flagging_does_not_apply(
    panel: FoldPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = {f"val_std_ratio_{h}": 0.0 for h in panel.horizons}
    monkeypatch.setattr(session, "validate", lambda *_: dict(flat))
    with pytest.raises(TrainingError, match=r"hardly differ.*degenerate: flag does not apply"):
        trained(panel, replace(SHORT, guards=GuardConfig(degenerate="flag")))
