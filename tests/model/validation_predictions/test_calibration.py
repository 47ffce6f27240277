"""Calibration of quantiles on markets whose distribution is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from model.trained_model.inference import Predictions
from model.validation_predictions.calibration import FEWEST_LABELS, Calibration, apply, coverage, fit
from model.validation_predictions.checks import check_calibration

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def too_narrow(days: int, names: int, seed: int) -> tuple[Predictions, np.ndarray]:
    """Normal labels of two horizons, and quantiles of half their spread that are off centre."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.normal(0, 1, (days, names)), rng.normal(0, 2, (days, names))], axis=-1).astype(np.float32)
    quantiles = np.empty((days, names, 2, 5), np.float32)
    for h, spread in enumerate((1.0, 2.0)):
        quantiles[:, :, h] = 0.5 * spread * norm.ppf(LEVELS) + 0.3
    point = np.zeros((days, names, 2), np.float32)
    return Predictions(days=np.arange(days), point=point, quantiles=quantiles, levels=LEVELS), truth


def test_coverage_on_new_days_reaches_the_levels_by_horizon() -> None:
    found, truth = too_narrow(60, 100, seed=1)
    new, happened = too_narrow(200, 100, seed=2)
    before = coverage(new, happened, (1, 5))
    after = coverage(apply(new, fit(found, truth)), happened, (1, 5))
    for horizon in ("1", "5"):
        assert before[horizon]["inside"]["value"] == pytest.approx(0.58, abs=0.05), "half the spread"
        assert after[horizon]["inside"]["value"] == pytest.approx(0.90, abs=0.015)
        assert after[horizon]["labels"] == 20_000
        for level in LEVELS:
            share = after[horizon]["below"][f"{level:g}"]
            low, high = share["interval"]
            assert low <= share["value"] <= high and share["n"] == 200
            assert share["value"] == pytest.approx(level, abs=0.02)


def test_a_shift_is_the_conformal_order_statistic_of_the_residuals() -> None:
    found, truth = too_narrow(2, FEWEST_LABELS // 2, seed=3)
    residuals = np.sort((truth[:, :, 0] - found.quantiles[:, :, 0, 0]).ravel())
    assert fit(found, truth).shift[0, 0] == residuals[int(np.ceil(0.05 * (FEWEST_LABELS + 1))) - 1]


def test_few_labels_move_nothing_and_missing_ones_do_not_count() -> None:
    found, truth = too_narrow(2, FEWEST_LABELS // 2, seed=3)
    truth[0, 0, 1] = np.nan
    calibration = fit(found, truth)
    assert calibration.labels.tolist() == [FEWEST_LABELS, FEWEST_LABELS - 1]
    assert calibration.shift[0].any() and not calibration.shift[1].any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5))
def test_quantiles_never_cross_whatever_the_shifts(shifts: list[float]) -> None:
    found, _ = too_narrow(3, 4, seed=4)
    calibration = Calibration(np.array([shifts, shifts], np.float32), np.array([9, 9]), 3)
    assert (np.diff(apply(found, calibration).quantiles, axis=-1) >= 0).all()


def test_days_without_labels_have_no_coverage() -> None:
    found, truth = too_narrow(3, 4, seed=5)
    none = coverage(found, np.full_like(truth, np.nan), (1, 5))
    assert none["1"]["inside"] is None and none["1"]["labels"] == 0
    part = np.where(np.arange(3)[:, None, None] == 0, truth, np.nan)
    assert coverage(replace(found), part, (1, 5))["5"]["inside"]["n"] == 1


def test_days_too_few_for_an_interval_are_said_and_hold_no_promise() -> None:
    found, truth = too_narrow(30, 40, seed=6)
    short = coverage(found, truth, (1, 20))  # 30 days make 6 blocks of 5 days, and less than one of 40
    assert short["1"]["inside"]["interval"] is not None and short["20"]["inside"]["interval"] is None

    class Stored:
        def read_json(self, asset: str, name: str, partition: str | None) -> dict[str, Any]:
            return {"horizons": {horizon: {"after": each} for horizon, each in short.items()}}

    outcome = check_calibration(Stored(), None, "wf_1")  # type: ignore[arg-type]
    assert "of 5 quantiles hold what they promise" in outcome.summary
    assert "5 more have too few days for an interval" in outcome.summary and "below_0.05_20d" in outcome.metadata
