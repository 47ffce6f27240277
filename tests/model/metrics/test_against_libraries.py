"""Our figures beside those of other libraries, on the same drawn data.

The constants were printed by alphalens-reloaded 0.5.1, quantstats 0.0.86 and empyrical-reloaded 0.7.1 (pandas 3.1.1) on
the arrays that ``returns`` and ``cross_sections`` make. Where a library differs, the test says why:

- quantstats and empyrical let gains be reinvested. Our capital is constant, so wealth is a sum: their drawdown is that
  of the product, and both are computed here.
- quantstats' probabilistic Sharpe ratio takes skewness and kurtosis corrected for bias; the published one (and ours)
  takes the plain moments. The difference is in the seventh digit here.
- alphalens' quantiles put equal scores into one group, so that groups differ in size; ours break ties by code. Without
  ties they agree.
"""

import numpy as np
import polars as pl
import pytest
from scipy.stats import kurtosis, norm, skew, spearmanr

from model.metrics import performance
from model.metrics.ic import daily_ic
from model.metrics.ranked import Sorted, agreement

DAYS, NAMES = 30, 25
EMPYRICAL = {"sharpe": 0.6065034927941977, "sortino": 0.89631556888379}
QUANTSTATS = {"max_drawdown": -0.16978215110161732, "probabilistic_sharpe": 0.8034345648505155}
ALPHALENS_IC = {"mean": 0.08886045654196491, "day 8": -0.22461538461538463}
ALPHALENS_QUINTILES = [
    -0.0011125599999999999,
    -0.0005091866666666669,
    -0.0005755066666666667,
    0.00080644,
    0.0013908133333333337,
]


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(20240131))


@pytest.fixture(scope="module")
def returns(rng: np.random.Generator) -> np.ndarray:
    return np.round(0.0005 + 0.01 * rng.standard_normal(500), 6)


@pytest.fixture(scope="module")
def cross_sections(rng: np.random.Generator, returns: np.ndarray) -> pl.DataFrame:
    """Scores and returns drawn after ``returns``, from the same stream."""
    scores = np.round(rng.standard_normal((DAYS, NAMES)), 3)
    labels = np.round(scores * 0.002 + 0.01 * rng.standard_normal((DAYS, NAMES)), 6)
    codes = [f"{name:02d}" for name in range(NAMES)] * DAYS
    day = np.repeat(np.arange(DAYS), NAMES)
    return pl.DataFrame({"Date": day, "Code": codes, "prediction": scores.ravel(), "label": labels.ravel()})


def test_sharpe_and_sortino_are_those_of_quantstats_and_empyrical(returns: np.ndarray) -> None:
    assert performance.sharpe(returns, 252) == pytest.approx(EMPYRICAL["sharpe"], rel=1e-13)
    assert performance.sortino(returns, 252) == pytest.approx(EMPYRICAL["sortino"], rel=1e-13)


def test_the_drawdown_is_that_of_quantstats_once_gains_are_reinvested(returns: np.ndarray) -> None:
    wealth = np.cumprod(1.0 + returns)
    compounded = (wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0).min()
    assert compounded == pytest.approx(QUANTSTATS["max_drawdown"], rel=1e-12)
    ours = performance.max_drawdown(returns)
    assert ours is not None and ours.depth == pytest.approx(-0.182583, abs=1e-12)


def test_the_probabilistic_sharpe_ratio_is_the_published_one_and_that_of_quantstats_with_its_moments(
    returns: np.ndarray,
) -> None:
    ratio, n = returns.mean() / returns.std(ddof=1), len(returns)
    published = 1.0 - skew(returns) * ratio + (kurtosis(returns, fisher=False) - 1.0) / 4.0 * ratio**2
    expected = norm.cdf(ratio * np.sqrt(n - 1) / np.sqrt(published))
    assert performance.probabilistic_sharpe(returns) == pytest.approx(expected, rel=1e-12)
    third, fourth = skew(returns, bias=False), kurtosis(returns, bias=False) + 3.0
    theirs = 1.0 - third * ratio + (fourth - 1.0) / 4.0 * ratio**2
    z = ratio * np.sqrt(n - 1) / np.sqrt(theirs)
    assert norm.cdf(z) == pytest.approx(QUANTSTATS["probabilistic_sharpe"], abs=1e-9)


def test_rank_ic_is_that_of_alphalens_and_scipy(cross_sections: pl.DataFrame) -> None:
    daily = daily_ic(cross_sections)["rank_ic"]
    assert daily.mean() == pytest.approx(ALPHALENS_IC["mean"], rel=1e-13)
    assert daily[7] == pytest.approx(ALPHALENS_IC["day 8"], rel=1e-13)
    for day, found in enumerate(daily.to_list()):
        rows = cross_sections.filter(pl.col("Date") == day)
        assert found == pytest.approx(spearmanr(rows["prediction"], rows["label"]).statistic, abs=1e-14)


def test_quantile_returns_are_those_of_alphalens_where_no_scores_are_equal(cross_sections: pl.DataFrame) -> None:
    scores, labels = (
        Sorted.of(cross_sections[name].to_numpy().reshape(DAYS, NAMES)) for name in ("prediction", "label")
    )
    found = agreement(scores, labels, 20, groups=5).decile_excess
    assert found is not None
    assert found.mean(axis=0).tolist() == pytest.approx(ALPHALENS_QUINTILES, rel=1e-12)
