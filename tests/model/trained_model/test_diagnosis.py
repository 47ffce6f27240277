"""What the diagnosis says of sound and of sick networks, labels and features."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.atft_tensors.panel import FoldPanel
from model.normalization_stats.apply import Normalizer
from model.trained_model.config import GuardConfig
from model.trained_model.diagnosis import complaints, feature_health, head_health, label_health


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def bounds(panel: FoldPanel, high: float) -> Normalizer:
    features, empty = len(panel.features), np.empty((0, 0))
    return Normalizer(
        dates=panel.dates,
        features=panel.features,
        mean=empty,
        std=empty,
        low=np.full(features, -high),
        high=np.full(features, high),
        target_scale={},
    )


def used(panel: FoldPanel, horizon: int = 5) -> NDArray[np.int64]:
    """A fold that uses the labels up to this horizon on every day."""
    return np.full(len(panel.dates), horizon)


def document(panel: FoldPanel, kept: dict[str, Any], high: float = 9.0, nulls: float = 0.0) -> dict[str, Any]:
    return {
        "head": head_health(kept, panel.horizons, GuardConfig()),
        "labels": label_health(panel, used(panel)),
        "features": feature_health(panel, bounds(panel, high), np.full(len(panel.features), nulls)),
    }


KEPT = {
    **{f"val_rank_ic_{h}": 0.05 for h in (1, 5)},
    **{f"val_days_{h}": 9 for h in (1, 5)},
    **{f"val_std_ratio_{h}": 0.1 for h in (1, 5)},
}


def abouts(found: list[dict[str, Any]]) -> list[str]:
    return [each["about"] for each in found]


def test_a_sound_network_has_no_complaints(panel: FoldPanel) -> None:
    full = replace(panel, y=np.nan_to_num(panel.y))
    assert complaints(document(full, KEPT), []) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"val_std_ratio_5": 1e-5}, "horizon 5 d predicts the same"),
        ({"val_std_ratio_1": 1.5}, "horizon 1 d varies 1.5 times"),
        ({"val_rank_ic_1": 0.0, "val_rank_ic_5": -0.1}, "RankIC at most"),
    ],
)
def test_a_sick_head_is_complained_about_with_a_remedy(panel: FoldPanel, change: dict[str, float], says: str) -> None:
    full = replace(panel, y=np.nan_to_num(panel.y))
    [found] = complaints(document(full, {**KEPT, **change}), [])
    assert found["about"] == "head" and says in found["says"] and found["remedy"]


def test_missing_labels_are_counted_among_the_members_of_train_and_validation_days(panel: FoldPanel) -> None:
    y = np.ones_like(panel.y)
    days = np.concatenate([panel.train, panel.validation])
    y[days[: len(days) // 2], :, 1] = np.nan
    y[panel.test] = np.nan
    found = label_health(replace(panel, y=y), used(panel))
    assert found["1"]["null_share"] == 0.0 and found["1"]["mean"] == 1.0
    members = panel.member[days].sum(axis=1)
    assert found["5"]["null_share"] == pytest.approx(members[: len(days) // 2].sum() / members.sum())
    said = complaints({**document(panel, KEPT), "labels": found}, [])
    assert abouts(said) == ["labels"] and "labels of 5 d are missing" in said[0]["says"]


def test_labels_that_the_fold_purges_are_not_missing(panel: FoldPanel) -> None:
    y = np.ones_like(panel.y)
    purged = panel.train[-4:]
    y[purged, :, 1] = np.nan
    reach = used(panel)
    reach[purged] = 1
    found = label_health(replace(panel, y=y), reach)
    assert found["1"]["null_share"] == found["5"]["null_share"] == 0.0
    days = np.concatenate([panel.train, panel.validation])
    assert found["1"]["samples"] - found["5"]["samples"] == panel.member[purged].sum()
    assert found["1"]["samples"] == panel.member[days].sum()


def test_a_feature_of_the_folds_own_has_no_bound_to_be_clipped_at(panel: FoldPanel) -> None:
    fitted = bounds(panel, 0.5)
    known = replace(fitted, features=fitted.features[:-1], low=fitted.low[:-1], high=fitted.high[:-1])
    found = feature_health(panel, known, np.zeros(len(panel.features)))
    own = found[panel.features[-1]]
    assert own["own"] and own["clip_share"] == 0.0
    missing = {**document(panel, KEPT), "features": {panel.features[-1]: {**own, "null_share": 0.6}}}
    assert "features" not in abouts(complaints(missing, []))
    assert found[panel.features[0]] == feature_health(panel, fitted, np.zeros(len(panel.features)))[panel.features[0]]


def test_constant_clipped_and_missing_features_are_named(panel: FoldPanel) -> None:
    x = panel.x.copy()
    x[:, :, 2] = 0.0
    full = replace(panel, x=x, y=np.nan_to_num(panel.y))
    said = complaints(document(full, KEPT, high=0.5, nulls=0.6), ["gat"])
    assert abouts(said) == ["gradients", "features", "features", "features"]
    assert said[1]["says"] == "f2 are constant"
    assert said[3]["says"].startswith("f0, f1, f3, f4 are clipped")
    inside = full.member[full.train]
    found = document(full, KEPT, high=0.5)["features"]["f0"]["clip_share"]
    assert found == pytest.approx((np.abs(full.x[full.train][inside][:, 0]) >= 0.5).mean())
