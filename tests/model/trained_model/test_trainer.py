"""The training as a whole, on a panel of a dozen names."""

import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model import checkpoint, epoch, guards, trainer
from model.trained_model.batches import Batch
from model.trained_model.config import GuardConfig, LossConfig, PhaseConfig, TrainingConfig, default_phases
from model.trained_model.inference import predict
from model.trained_model.network.atft_gat_fan import PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, Record, TrainingStoppedError
from model.trained_model.schedule import rate
from model.trained_model.step import Stepper, Tally
from model.trained_model.trainer import train
from tests.model.trained_model.support import LOOKBACK, NETWORK, SHORT, TRAINING, figures, state_hash, trained

PLAIN = replace(NETWORK, variable_selection=False, recurrence="min_gru", dropout=0.2)
PHASES = (
    PhaseConfig(name="baseline", epochs=2, lr=4e-3, adaptive_norm=False, graph=False),
    PhaseConfig(name="adaptive_norm", epochs=2, lr=3e-3, graph=False),
    PhaseConfig(name="gat", epochs=2, lr=2e-3),
    PhaseConfig(name="fine_tuning", epochs=1, lr=1e-3, clip=0.5),
)
FOUR_PHASES = replace(TRAINING, phases=PHASES)


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def test_four_phases_learn_the_planted_signal_with_their_own_parts_and_rates(
    make_panel: Callable[..., FoldPanel],
) -> None:
    panel = make_panel(days=120, names=20)
    seen: list[Record] = []
    result = trained(panel, FOUR_PHASES, Callbacks(on_epoch=seen.append))
    assert [record["phase"] for record in result.history] == ["baseline"] * 2 + ["adaptive_norm"] * 2 + ["gat"] * 2 + [
        "fine_tuning"
    ]
    assert figures(seen) == figures(result.history)
    by_phase = {str(record["phase"]): record for record in result.history}
    assert by_phase["baseline"]["gradient_fan"] == by_phase["baseline"]["gradient_gat"] == 0.0
    assert float(by_phase["adaptive_norm"]["gradient_fan"]) > 0
    assert by_phase["adaptive_norm"]["edges_per_step"] == 0.0
    assert float(by_phase["gat"]["gradient_attention"]) > 1e-6
    assert float(by_phase["gat"]["edges_per_step"]) > 0
    assert "loss_fan" in by_phase["gat"]
    assert "loss_fan" not in by_phase["baseline"]
    assert result.switches == PhaseSwitches(adaptive_norm=True, graph=True)
    assert result.best_rank_ic > 0.1
    assert result.best_epoch == 7
    steps = -(-len(panel.train) // FOUR_PHASES.days_per_batch)
    expected = [
        rate(step, phase.epochs * steps, round(0.5 * steps), phase.lr)
        for phase in PHASES
        for step in range(phase.epochs * steps)
    ]
    assert result.rates == tuple(expected)


@pytest.mark.parametrize(
    ("network", "again"), [(NETWORK, False), (PLAIN, False), (replace(NETWORK, dropout=0.2), True)]
)
def test_a_training_stopped_and_continued_ends_with_the_same_bits(
    panel: FoldPanel, tmp_path: Path, network: NetworkConfig, again: bool
) -> None:
    training = replace(
        FOUR_PHASES, ema_decay=0.8, layerwise_decay=0.9, days_per_epoch=10, activation_checkpointing=again
    )
    whole = trained(panel, training, network=network)
    polls = {"left": 3 * 3 + 1}  # three epochs of three steps, then in the middle of the fourth

    def stop() -> bool:
        polls["left"] -= 1
        return polls["left"] < 0

    with pytest.raises(TrainingStoppedError, match="after 3 whole epochs"):
        trained(panel, training, Callbacks(should_stop=stop, checkpoint_dir=tmp_path), network)
    rest: list[Record] = []
    continued = trained(panel, training, Callbacks(on_epoch=rest.append, checkpoint_dir=tmp_path), network)
    assert len(rest) == 4
    assert state_hash(continued.state) == state_hash(whole.state)
    assert figures(continued.history) == figures(whole.history)
    assert continued.rates == whole.rates
    assert continued.best_epoch == whole.best_epoch


def test_activations_computed_again_give_the_same_network(panel: FoldPanel) -> None:
    still = replace(NETWORK, dropout=0.0, edge_dropout=0.0)
    kept = trained(panel, network=still)
    again = trained(panel, replace(TRAINING, activation_checkpointing=True), network=still)
    for name, value in kept.state.items():
        assert torch.allclose(again.state[name], value, rtol=1e-4, atol=1e-6), name


def test_a_checkpoint_of_another_training_is_refused(panel: FoldPanel, tmp_path: Path) -> None:
    trained(panel, SHORT, Callbacks(checkpoint_dir=tmp_path))
    with pytest.raises(TrainingError, match="another training"):
        trained(panel, replace(SHORT, weight_decay=0.5), Callbacks(checkpoint_dir=tmp_path))
    changed = panel.x.copy()
    changed[0, 0, 0] += 1
    with pytest.raises(TrainingError, match="another training"):
        trained(replace(panel, x=changed), SHORT, Callbacks(checkpoint_dir=tmp_path))
    checkpoint.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.BEST]


def test_another_process_trains_the_same_bits_and_loads_no_data_frame_or_orchestration_library(
    panel: FoldPanel,
) -> None:
    code = (
        "import importlib.util as u, sys\n"
        "import model.trained_model.trainer, model.trained_model.inference, model.atft_tensors.panel\n"
        "heavy = ('polars', 'dagster', 'pydantic', 'mlflow', 'model.store.store', 'model.settings.base')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "def load(name, path):\n"
        "    spec = u.spec_from_file_location(name, path); module = u.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module); return module\n"
        f"folder = {str(Path(__file__).parent)!r}\n"
        "panels, here = (load(name, f'{folder}/{name}.py') for name in ('conftest', 'support'))\n"
        "print(here.state_hash(here.trained(panels.panel_with(), here.SHORT).state))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", state_hash(trained(panel, SHORT).state)]


def test_nothing_global_is_left_behind(panel: FoldPanel) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    numpy_before = np.random.get_state()[1].tolist()  # noqa: NPY002
    one = (PhaseConfig(name="all", epochs=1, lr=2e-3),)
    trained(panel, replace(SHORT, phases=one, days_per_epoch=4, threads=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002


def test_test_days_have_no_influence_on_the_weights(panel: FoldPanel) -> None:
    x, y = panel.x.copy(), panel.y.copy()
    x[panel.test[0] :] = 7.0
    y[panel.test[0] :] = 99.0
    assert state_hash(trained(replace(panel, x=x, y=y), SHORT).state) == state_hash(trained(panel, SHORT).state)


def test_early_stopping_ends_a_phase_and_restores_its_best_weights(panel: FoldPanel) -> None:
    # A rate at which the score jumps about: two epochs in a row below the best come sooner or later on any processor.
    long = PhaseConfig(name="all", epochs=60, lr=0.3, patience=2)
    result = trained(panel, replace(FOUR_PHASES, phases=(long,), guards=GuardConfig(degenerate="flag")))
    scores = [float(record.get("val_rank_ic", -1.0)) for record in result.history]
    assert len(scores) < 60
    assert result.best_epoch == int(np.argmax(scores)) + 1 == len(scores) - 2
    assert result.best_rank_ic == max(scores)


def test_best_epoch_keeps_the_switches_it_was_trained_with(panel: FoldPanel) -> None:
    phases = (PHASES[0], PhaseConfig(name="wreck", epochs=1, lr=5.0))
    training = replace(FOUR_PHASES, phases=phases, keep="best_epoch", guards=GuardConfig(degenerate="flag"))
    result = trained(panel, training)
    assert result.switches == PhaseSwitches(adaptive_norm=False, graph=False)
    assert result.best_epoch <= 2


def test_accumulation_equals_a_larger_batch_for_losses_that_are_means_over_days(
    make_panel: Callable[..., FoldPanel],
) -> None:
    full = make_panel()
    panel = replace(full, member=np.ones_like(full.member), y=np.nan_to_num(full.y))
    loss = LossConfig(sharpe=0.0, min_names=3)
    still = replace(NETWORK, dropout=0.0, edge_dropout=0.0)
    states = []
    for days, accumulate in ((4, 1), (2, 2)):
        config = replace(SHORT, days_per_batch=days, accumulate=accumulate, loss=loss)
        states.append(train(panel, still, config, lookback=LOOKBACK, seed=5).state)
    for name in states[0]:
        assert torch.allclose(states[0][name], states[1][name], atol=2e-4), name


def test_out_of_memory_in_validation_halves_its_passes_as_well(
    panel: FoldPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = epoch.run_network
    most = 2

    def scarce(module: torch.nn.Module, batch: Batch, switches: PhaseSwitches) -> object:
        if batch.shape[0] > most:
            raise torch.OutOfMemoryError("pretended")
        return whole(module, batch, switches)

    monkeypatch.setattr(epoch, "run_network", scarce)
    found = trained(panel, SHORT).history
    monkeypatch.setattr(epoch, "run_network", whole)
    plain = trained(panel, SHORT).history
    assert [record["days_per_pass"] for record in found] == [2, 2] and plain[0]["days_per_pass"] == 4
    assert found[0]["val_rank_ic"] == pytest.approx(plain[0]["val_rank_ic"], abs=1e-6)
    monkeypatch.setattr(epoch, "run_network", scarce)
    most = 0
    with pytest.raises(TrainingError, match="after 2 halvings"):
        trained(panel, SHORT)


def test_validation_predictions_that_are_no_numbers_stop_the_training(
    panel: FoldPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = epoch.run_network

    def broken(*arguments: Any) -> Any:
        point, *rest = whole(*arguments)
        point[0] = torch.nan
        return point, *rest

    monkeypatch.setattr(epoch, "run_network", broken)
    with pytest.raises(TrainingError, match="validation days are not finite"):
        trained(panel, SHORT)


def test_out_of_memory_halves_the_pass_and_keeps_the_step(panel: FoldPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Stepper._gradients
    limit = 2

    def scarce(
        self: Stepper, optimizer: object, days: np.ndarray, switches: PhaseSwitches, tally: Tally
    ) -> torch.Tensor:
        if self.days_per_pass > limit:
            activations = torch.zeros(1)
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("pretended")
        return whole(self, optimizer, days, switches, tally)

    monkeypatch.setattr(Stepper, "_gradients", scarce)
    halve, held, released = Stepper._halve, list[weakref.ref[torch.Tensor]](), list[bool]()

    def watched(self: Stepper, error: Exception) -> None:
        released.extend(reference() is None for reference in held)
        halve(self, error)

    monkeypatch.setattr(Stepper, "_halve", watched)
    result = trained(panel, SHORT)
    assert [record["days_per_pass"] for record in result.history] == [2, 2]
    assert released == [True]  # what the failed pass held, before the memory is given back
    assert result.history[0]["steps"] == -(-len(panel.train) // 4)
    limit = 0
    with pytest.raises(TrainingError, match="after 2 halvings"):
        trained(panel, SHORT)
    limit = 2
    with pytest.raises(TrainingError, match="after 0 halvings"):
        trained(panel, replace(SHORT, auto_recover_oom=False))


@pytest.mark.parametrize(("there", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_cuda_where_there_is_one_and_no_other_accelerator(
    panel: FoldPanel, monkeypatch: pytest.MonkeyPatch, there: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)

    def asked(**arguments: Any) -> None:
        raise LookupError(arguments["accelerator"])

    monkeypatch.setattr(trainer, "Fabric", asked)
    with pytest.raises(LookupError, match=chosen):
        trained(panel, replace(SHORT, accelerator="auto"))


def test_a_horizon_without_labels_raises(panel: FoldPanel) -> None:
    y = panel.y.copy()
    y[panel.train, :, 1] = np.nan
    with pytest.raises(TrainingError, match="no label at all for horizon 5"):
        trained(replace(panel, y=y), SHORT)


def test_the_graph_phase_refuses_to_run_without_edges(panel: FoldPanel) -> None:
    bare = replace(
        panel,
        graph_ptr=np.zeros(3, np.int64),
        edge_index=np.zeros((2, 0), np.int64),
        edge_attr=np.zeros((0, 4), np.float32),
    )
    with pytest.raises(TrainingError, match="no batch of the epoch had an edge"):
        trained(bare, SHORT)


def test_constant_predictions_stop_the_training(panel: FoldPanel) -> None:
    flat = replace(panel, x=np.zeros_like(panel.x), own_return=np.zeros_like(panel.own_return))
    training = replace(FOUR_PHASES, phases=(replace(PHASES[0], epochs=1),))
    with pytest.raises(TrainingError, match="hardly differ between stocks"):
        trained(flat, training)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    with pytest.raises(TrainingError, match="gradient norm became inf in phase gat, epoch 3, step 9"):
        guards.stop_if_not_finite(1.0, float("inf"), phase="gat", epoch=3, step=9)


@pytest.mark.parametrize("network", [NETWORK, PLAIN])
def test_predictions_are_the_same_bits_alone_and_together_and_nan_outside_the_universe(
    panel: FoldPanel, network: NetworkConfig
) -> None:
    result = trained(panel, SHORT, network=network)
    days = np.concatenate([panel.validation, panel.test])
    both = predict(panel, network, result.state, days, lookback=LOOKBACK, switches=result.switches)
    alone = predict(panel, network, result.state, days[2:3], lookback=LOOKBACK, switches=result.switches)
    assert np.array_equal(both.point[2], alone.point[0], equal_nan=True)
    assert np.array_equal(np.isfinite(both.point[:, :, 0]), panel.member[days])
    assert np.array_equal(np.isfinite(both.quantiles[:, :, 0, 0]), panel.member[days])
    assert (np.diff(both.quantiles[panel.member[days]], axis=-1) >= 0).all()


def test_later_days_never_change_an_earlier_prediction(panel: FoldPanel) -> None:
    state = trained(panel, SHORT).state
    day = panel.test[:1]
    x, own = panel.x.copy(), panel.own_return.copy()
    x[day[0] + 1 :] = -3.0
    own[day[0] + 1 :] = 0.5
    before = predict(panel, NETWORK, state, day, lookback=LOOKBACK)
    after = predict(replace(panel, x=x, own_return=own), NETWORK, state, day, lookback=LOOKBACK)
    assert np.array_equal(before.point, after.point, equal_nan=True)


def test_weights_of_another_feature_list_are_refused(panel: FoldPanel) -> None:
    state = trained(panel, SHORT).state
    fewer = replace(panel, x=np.ascontiguousarray(panel.x[:, :, :4]), features=panel.features[:4])
    with pytest.raises(TrainingError, match="4 features here"):
        predict(fewer, NETWORK, state, panel.test, lookback=LOOKBACK)


def test_settings_are_validated_and_unknown_keys_refused() -> None:
    adapter = TypeAdapter(TrainingConfig)
    parsed = adapter.validate_python({"phases": [{"name": "one", "epochs": 1, "lr": 0.1}], "loss": {"pinball": 0}})
    assert parsed.phases == (PhaseConfig(name="one", epochs=1, lr=0.1),)
    assert adapter.validate_python(adapter.dump_python(parsed, mode="json")) == parsed
    for wrong in ({"epochs": 3}, {"loss": {"rankic": 1}}, {"phases": [{"name": "x", "epochs": -1, "lr": 1}]}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_default_phases_follow_the_original_recipe() -> None:
    phases = default_phases()
    assert [(p.lr, p.adaptive_norm, p.graph) for p in phases] == [
        (5e-4, False, False),
        (5e-4, True, False),
        (1e-4, True, True),
        (5e-5, True, True),
    ]
    assert phases[3].clip == 0.5
    assert all(phase.patience == 5 for phase in phases)
    loss = TrainingConfig().loss
    assert (loss.rank_ic, loss.cs_ic, loss.sharpe) == (0.5, 0.3, 0.1)


def test_mixed_precision_trains_and_stays_finite_or_is_refused_by_a_processor_without_it(panel: FoldPanel) -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        with pytest.raises(TrainingError, match="no bfloat16"):
            trained(panel, replace(SHORT, precision="bf16-mixed"))
        return
    result = trained(panel, replace(SHORT, precision="bf16-mixed"))
    assert all(torch.isfinite(value).all() for value in result.state.values())
    assert all(value.dtype == torch.float32 for value in result.state.values())
    assert result.flags == ()
    full = trained(panel, SHORT)
    assert abs(float(result.history[-1]["val_std_ratio_1"]) / float(full.history[-1]["val_std_ratio_1"]) - 1) < 0.1
    assert abs(float(result.history[0]["loss_rank_ic"]) - float(full.history[0]["loss_rank_ic"])) < 0.05


def test_validation_days_with_too_few_names_are_refused(panel: FoldPanel) -> None:
    with pytest.raises(TrainingError, match="fewer than 20 labelled stocks"):
        trained(panel, replace(SHORT, validation_min_names=20))


def test_two_devices_share_the_days_and_reach_what_one_reaches(
    make_panel: Callable[..., FoldPanel], tmp_path: Path
) -> None:
    full = make_panel()
    panel = replace(full, member=np.ones_like(full.member), y=np.nan_to_num(full.y))
    still = replace(NETWORK, dropout=0.0, edge_dropout=0.0)
    config = replace(SHORT, loss=LossConfig(sharpe=0.0, min_names=3))
    one = train(panel, still, config, lookback=LOOKBACK, seed=5)
    seen: list[Record] = []
    callbacks = Callbacks(on_epoch=seen.append, checkpoint_dir=tmp_path)
    two = train(panel, still, replace(config, devices=2), lookback=LOOKBACK, seed=5, callbacks=callbacks)
    for name in one.state:
        assert torch.allclose(one.state[name], two.state[name], atol=2e-4), name
    assert [record["epoch"] for record in seen] == [1, 2]
    assert seen[0]["edges_per_step"] == one.history[0]["edges_per_step"]
    assert float(seen[0]["loss_rank_ic"]) == pytest.approx(float(one.history[0]["loss_rank_ic"]), abs=1e-3)
    assert (tmp_path / checkpoint.FILE).is_file()
