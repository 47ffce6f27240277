"""Each loss against a value computed independently and against numerical gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from model.errors import TrainingError
from model.trained_model import losses
from model.trained_model.config import LossConfig, PhaseConfig, PhaseLoss, TrainingConfig
from model.trained_model.evaluation import average_ranks, pearson, rank_ic_by_day, spread_by_day
from model.trained_model.losses import Padded, total_loss

LEVELS = (0.05, 0.5, 0.95)


def _groups(seed: int, groups: int = 3, names: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    prediction = torch.tensor(rng.standard_normal((groups, names)), requires_grad=True)
    target = torch.tensor(rng.standard_normal((groups, names)))
    mask = torch.tensor(rng.random((groups, names)) < 0.8)
    mask[:, :5] = True
    return prediction, target, mask


def test_squared_error_and_huber_agree_with_hand_computed_values() -> None:
    prediction = torch.tensor([[1.0, 0.0, 4.0]])
    target = torch.tensor([[0.5, 0.0, 0.0]])
    mask = torch.tensor([[True, False, True]])
    assert losses.squared_error(prediction, target, mask).item() == pytest.approx((0.25 + 16.0) / 2)
    assert losses.huber(prediction, target, mask, 1.0).item() == pytest.approx((0.125 + 3.5) / 2)


def test_pinball_agrees_with_hand_computed_values() -> None:
    quantiles = torch.tensor([[[0.0, 1.0]]])
    value = losses.pinball(quantiles, torch.tensor([[2.0]]), torch.tensor([[True]]), (0.1, 0.9))
    assert value.item() == pytest.approx((0.1 * 2 + 0.9 * 1) / 2)


def test_direction_ignores_zero_targets() -> None:
    prediction = torch.tensor([[2.0, -1.0, 5.0]])
    target = torch.tensor([[1.0, 1.0, 0.0]])
    value = losses.direction(prediction, target, torch.ones(1, 3, dtype=torch.bool))
    assert value.item() == pytest.approx((math.log1p(math.exp(-2.0)) + math.log1p(math.exp(1.0))) / 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_information_coefficient_is_pearson_within_each_group(seed: int) -> None:
    prediction, target, mask = _groups(seed)
    expected = np.mean(
        [
            stats.pearsonr(p[m], t[m]).statistic
            for p, t, m in zip(prediction.detach().numpy(), target.numpy(), mask.numpy(), strict=True)
        ]
    )
    large = 1e4 * prediction  # against which the floor of the spread is nothing
    assert losses.information_coefficient(large, target, mask, 3).item() == pytest.approx(1 - expected, abs=1e-6)


def test_the_gradient_of_small_predictions_is_bounded_by_the_floor() -> None:
    prediction, target, mask = _groups(5)
    sizes = []
    for scale in (1.0, 1e-2, 1e-4):
        small = (scale * prediction.detach()).requires_grad_()
        for loss in (
            losses.information_coefficient(small, target, mask, 3),
            losses.rank_information_coefficient(small, target, mask, 0.1, 3),
        ):
            (gradient,) = torch.autograd.grad(loss, small)
            sizes.append(gradient.norm().item())
    assert max(sizes) < 1500 * min(sizes)  # ten thousand times without the floor


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_sharp_soft_ranks_give_spearman(seed: int) -> None:
    prediction, target, mask = _groups(seed)
    expected = np.mean(
        [
            stats.spearmanr(p[m], t[m]).statistic
            for p, t, m in zip(prediction.detach().numpy(), target.numpy(), mask.numpy(), strict=True)
        ]
    )
    value = losses.rank_information_coefficient(prediction, target, mask, 1e-6, 3)
    assert value.item() == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.parametrize("pairs", [1, 50, 10**6])
def test_soft_ranks_in_blocks_have_the_values_and_gradient_of_the_whole_square(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_PAIRS_AT_A_TIME", pairs)
    generator = torch.Generator().manual_seed(pairs)
    values = torch.randn(3, 11, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.rand(3, 11, generator=generator) < 0.8
    weight = torch.randn(3, 11, generator=generator, dtype=torch.float64)
    share = torch.sigmoid((values.unsqueeze(-1) - values.unsqueeze(-2)) / 0.3) * mask.unsqueeze(-2)
    expected = torch.where(mask, share.sum(-1) + 0.5, 0.0)
    found = losses.soft_rank(values, mask, 0.3)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad((found * weight).sum(), values)
    (reference,) = torch.autograd.grad((expected * weight).sum(), values)
    torch.testing.assert_close(gradient, reference)


def test_soft_ranks_average_ties_and_leave_masked_entries_out() -> None:
    values = torch.tensor([[3.0, 1.0, 1.0, 9.0]])
    mask = torch.tensor([[True, True, True, False]])
    assert losses.soft_rank(values, mask, 1e-4).tolist() == [[3.0, 1.5, 1.5, 0.0]]


def test_sharpe_agrees_with_an_independent_computation() -> None:
    prediction, target, mask = _groups(3, groups=4)
    daily = []
    for p, t, m in zip(prediction.detach().numpy(), target.numpy(), mask.numpy(), strict=True):
        weights = p[m] - p[m].mean()
        daily.append((weights / np.abs(weights).sum()) @ t[m])
    ratio = np.mean(daily) / np.std(daily)
    value = losses.sharpe(prediction[None], target[None], mask[None], 3).item()
    assert value == pytest.approx(1 - ratio / math.sqrt(1 + ratio**2), abs=1e-3)


@pytest.mark.parametrize("name", ["squared_error", "huber", "direction", "ic", "rank_ic", "sharpe", "pinball"])
def test_gradients_equal_numerical_gradients(name: str) -> None:
    prediction, target, mask = _groups(11)
    functions = {
        "squared_error": lambda p: losses.squared_error(p, target, mask),
        "huber": lambda p: losses.huber(p, target, mask, 0.7),
        "direction": lambda p: losses.direction(p, target, mask),
        "ic": lambda p: losses.information_coefficient(p, target, mask, 3),
        "rank_ic": lambda p: losses.rank_information_coefficient(p, target, mask, 0.3, 3),
        "sharpe": lambda p: losses.sharpe(p[None], target[None], mask[None], 3),
        "pinball": lambda p: losses.pinball(p.unsqueeze(-1) + torch.tensor([-1.0, 0.0, 1.0]), target, mask, LEVELS),
    }
    assert torch.autograd.gradcheck(functions[name], (prediction,), atol=1e-6)


def _padded(target: torch.Tensor, mask: torch.Tensor, prediction: torch.Tensor | None = None) -> Padded:
    prediction = torch.randn(target.shape, requires_grad=True) if prediction is None else prediction
    return Padded(prediction, prediction.unsqueeze(-1) + torch.tensor([-1.0, 0.0, 1.0]), target, mask)


def test_masked_targets_have_no_influence_whatever_they_hold() -> None:
    torch.manual_seed(0)
    target, mask = torch.randn(2, 8, 2), torch.rand(2, 8, 2) < 0.8
    prediction = torch.randn(2, 8, 2, requires_grad=True)
    results = []
    for filler in (float("nan"), 1e6):
        filled = torch.where(mask, target, filler)
        loss, _ = total_loss(_padded(filled, mask, prediction), {}, LEVELS, LossConfig(min_names=2))
        (gradient,) = torch.autograd.grad(loss, prediction)
        results.append((loss.item(), gradient))
        assert not gradient[~mask].any()
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_a_missing_target_that_counts_raises() -> None:
    target = torch.zeros(1, 6, 1)
    target[0, 2, 0] = torch.nan
    with pytest.raises(TrainingError, match="1 of 6 targets"):
        total_loss(_padded(target, torch.ones(1, 6, 1, dtype=torch.bool)), {}, LEVELS, LossConfig())


def test_a_batch_without_any_label_raises() -> None:
    with pytest.raises(TrainingError, match="teaches nothing"):
        total_loss(_padded(torch.zeros(1, 6, 1), torch.zeros(1, 6, 1, dtype=torch.bool)), {}, LEVELS, LossConfig())


def test_constant_predictions_have_finite_gradients() -> None:
    target = torch.randn(2, 8, 1)
    prediction = torch.zeros(2, 8, 1, requires_grad=True)
    loss, _ = total_loss(
        _padded(target, torch.ones_like(target, dtype=torch.bool), prediction), {}, LEVELS, LossConfig()
    )
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("names", [0, 1, 2])
def test_a_group_too_small_for_a_rank_passes_no_gradient_and_breaks_none(names: int) -> None:
    torch.manual_seed(4)
    target, prediction = torch.randn(2, 8, 2), torch.randn(2, 8, 2, requires_grad=True)
    mask = torch.ones_like(target, dtype=torch.bool)
    mask[0, names:, 1] = False  # so many labels of the second horizon on the first day
    ranked = LossConfig(rank_ic=1.0, cs_ic=0.0, sharpe=0.0, pointwise=0.0, pinball=0.0, direction=0.0, min_names=3)
    gradients = []
    for config in (ranked, LossConfig(min_names=3)):
        loss, _ = total_loss(_padded(target, mask, prediction), {}, LEVELS, config)
        gradients += torch.autograd.grad(loss, prediction)
    assert all(torch.isfinite(each).all() for each in gradients)
    assert not gradients[0][0, :, 1].any() and gradients[0][0, :, 0].any()


def test_the_total_is_the_weighted_sum_of_its_parts() -> None:
    target = torch.randn(3, 8, 2)
    config = LossConfig(rank_ic=0.5, cs_ic=0.25, sharpe=2.0, pointwise=1.5, pinball=0.7, direction=0.2, auxiliary=3.0)
    extra = {"fan": torch.tensor(0.4)}
    loss, parts = total_loss(_padded(target, torch.ones_like(target, dtype=torch.bool)), extra, LEVELS, config)
    expected = sum(getattr(config, name) * value.item() for name, value in parts.items() if name != "fan")
    assert loss.item() == pytest.approx(expected + 3.0 * 0.4, rel=1e-5)


def test_every_part_is_the_mean_of_its_horizons_weighted_by_horizon() -> None:
    torch.manual_seed(3)
    target = torch.randn(4, 9, 2)
    whole = _padded(target, torch.ones_like(target, dtype=torch.bool))  # no label missing: means weigh alike
    config = LossConfig(min_names=2)
    _, together = total_loss(whole, {}, LEVELS, config, (0.3, 0.9))
    alone = [
        total_loss(
            Padded(*(part[:, :, h : h + 1] for part in (whole.prediction, whole.quantiles, target, whole.mask))),
            {},
            LEVELS,
            config,
        )[1]
        for h in range(2)
    ]
    assert len(together) == 6
    for name, value in together.items():
        expected = 0.25 * alone[0][name].item() + 0.75 * alone[1][name].item()
        assert value.item() == pytest.approx(expected, rel=1e-5), name


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_average_ranks_equal_scipys(values: list[int]) -> None:
    tensor = torch.tensor([values], dtype=torch.float64)
    ranks = average_ranks(tensor, torch.ones(1, len(values), dtype=torch.bool))
    assert ranks[0].tolist() == stats.rankdata(values).tolist()


def test_rank_ic_by_day_is_spearman_and_absent_where_it_has_no_meaning() -> None:
    rng = np.random.default_rng(2)
    prediction, target = rng.standard_normal((2, 3, 30, 2)).astype(np.float32)
    prediction[0, 4, 0] = np.nan
    target[1, 5, 1] = np.nan
    prediction[2, :, 0] = 1.0
    found = rank_ic_by_day(prediction, target, min_names=20)
    assert np.isnan(found[2, 0])
    for day, horizon in [(0, 0), (1, 1), (2, 1)]:
        known = np.isfinite(prediction[day, :, horizon]) & np.isfinite(target[day, :, horizon])
        expected = stats.spearmanr(prediction[day, known, horizon], target[day, known, horizon]).statistic
        assert found[day, horizon] == pytest.approx(expected)
    assert np.isnan(rank_ic_by_day(prediction, target, min_names=31)).all()


def test_spread_by_day_ignores_missing_values() -> None:
    values = np.array([[[1.0], [3.0], [np.nan]]], np.float32)
    assert spread_by_day(values).tolist() == [[1.0]]
    assert np.isnan(spread_by_day(np.full((1, 2, 1), np.nan, np.float32))).all()


def test_pearson_without_epsilon_is_undefined_for_a_constant_side() -> None:
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert pearson(torch.ones(1, 4), torch.randn(1, 4), mask).isnan().all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_settings_that_are_no_finite_number_are_refused_by_name(value: float) -> None:
    for name in ("pointwise", "auxiliary", "huber_delta"):
        with pytest.raises(ValueError, match=f"{name} must be finite"):
            LossConfig(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="horizon_weights must be positive and finite"):
        LossConfig(horizon_weights={5: value})
    with pytest.raises(ValueError, match="phase a: lr must be finite"):
        PhaseConfig(name="a", epochs=1, lr=value)
    with pytest.raises(ValueError, match="weight_decay must be finite"):
        TrainingConfig(weight_decay=value)
    with pytest.raises(ValueError, match="pinball must be finite"):
        LossConfig().of_phase(PhaseLoss(pinball=value))
