"""Ensembles: members that differ by their seed, stopped and continued, and the mean of their predictions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.atft_tensors.panel import FoldPanel
from model.trained_model.ensemble import Member, member_seed, predict_ensemble, train_ensemble
from model.trained_model.inference import predict
from model.trained_model.insight import look_into
from model.trained_model.results import Callbacks, Record, TrainingStoppedError, TrainResult
from tests.model.trained_model.support import LOOKBACK, NETWORK, SHORT, state_hash, trained

TWO = replace(SHORT, ensemble=2)


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def _ensemble(panel: FoldPanel, callbacks: Callbacks | None = None) -> tuple[TrainResult, ...]:
    return train_ensemble(panel, NETWORK, TWO, lookback=LOOKBACK, seed=5, callbacks=callbacks)


def test_the_first_member_is_the_network_trained_alone_and_the_second_another(panel: FoldPanel) -> None:
    first, second = _ensemble(panel)
    assert state_hash(first.state) == state_hash(trained(panel, SHORT).state)
    assert state_hash(second.state) != state_hash(first.state)
    assert member_seed(5, 0) == 5 != member_seed(5, 1) != member_seed(5, 2)


def test_a_stop_in_the_second_member_repeats_nothing_of_the_first(panel: FoldPanel, tmp_path: Path) -> None:
    whole = _ensemble(panel)
    steps = len(whole[0].rates)
    left = iter([False] * (steps + 3))
    with pytest.raises(TrainingStoppedError):
        _ensemble(panel, Callbacks(should_stop=lambda: next(left, True), checkpoint_dir=tmp_path))
    seen: list[Record] = []
    continued = _ensemble(panel, Callbacks(on_epoch=seen.append, checkpoint_dir=tmp_path))
    assert [(record["member"], record["epoch"]) for record in seen] == [(1, 1), (1, 2)]
    assert [state_hash(result.state) for result in continued] == [state_hash(result.state) for result in whole]


def test_the_prediction_is_the_mean_of_the_members_and_one_member_is_itself(panel: FoldPanel) -> None:
    results = _ensemble(panel)
    members = [Member(result.state, result.switches) for result in results]
    alone = [
        predict(panel, NETWORK, each.state, panel.test, lookback=LOOKBACK, switches=each.switches) for each in members
    ]
    one = predict_ensemble(panel, NETWORK, members[:1], panel.test, lookback=LOOKBACK)
    assert np.array_equal(one.point, alone[0].point, equal_nan=True)
    assert np.array_equal(one.quantiles, alone[0].quantiles, equal_nan=True)
    done: list[int] = []
    both = predict_ensemble(panel, NETWORK, members, panel.test, lookback=LOOKBACK, on_day=done.append)
    np.testing.assert_allclose(both.point, (alone[0].point + alone[1].point) / 2, rtol=1e-5, atol=1e-9)
    assert (np.diff(both.quantiles[panel.member[panel.test]], axis=-1) >= 0).all()
    assert done == list(range(1, 2 * len(panel.test) + 1))


def test_what_the_network_looks_at_is_told_in_shares(panel: FoldPanel) -> None:
    members = [Member(result.state, result.switches) for result in _ensemble(panel)]
    seen = look_into(panel, NETWORK, members, lookback=LOOKBACK)
    assert list(seen["selection"]) == list(panel.features)
    assert sum(seen["selection"].values()) == pytest.approx(1.0)
    assert len(seen["attention"]) == LOOKBACK and sum(seen["attention"]) == pytest.approx(1.0)
    assert len(seen["gate_alpha"]) == 2 and all(0 < alpha < 1 for alpha in seen["gate_alpha"])
    assert seen["rows"] == int(panel.member[panel.validation].sum())


def test_a_network_that_selects_nothing_tells_no_shares_of_features(panel: FoldPanel) -> None:
    network = replace(NETWORK, variable_selection=False, recurrence="min_gru")
    (result,) = train_ensemble(panel, network, SHORT, lookback=LOOKBACK, seed=1)
    seen = look_into(panel, network, [Member(result.state, result.switches)], lookback=LOOKBACK)
    assert seen["selection"] is None
    assert sum(seen["attention"]) == pytest.approx(1.0)
