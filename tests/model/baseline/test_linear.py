"""Ridge against the closed form written out, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from model.baseline.linear import choose, gather
from model.errors import DataError


def rows(count: int = 200, features: int = 5, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(size=(count, features)).astype(np.float32)
    y = 0.3 * x[:, 0] - 0.2 * x[:, 1] + 0.1 + rng.normal(size=count)
    return x, y


def blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0])
def test_the_fit_equals_an_independent_ridge_with_the_penalty_times_the_rows(alpha: float) -> None:
    x, y = rows()
    fit = gather(x, [y], blocks(200, 30))[0].solve(alpha)
    other = Ridge(alpha=alpha * len(y)).fit(x.astype(np.float64), y)
    np.testing.assert_allclose(fit.coefficients, other.coef_, rtol=1e-10)
    assert fit.intercept == pytest.approx(other.intercept_, rel=1e-9)
    np.testing.assert_allclose(fit.predict(x), other.predict(x.astype(np.float64)), rtol=1e-8, atol=1e-12)


def test_rows_without_a_label_take_no_part_and_missing_features_count_as_zero() -> None:
    x, y = rows()
    x[3, 2] = np.nan
    y[::7] = np.nan
    plain = np.nan_to_num(x)
    kept = np.isfinite(y)
    ours = gather(x, [y], blocks(200, 30))[0].solve(0.1)
    reference = gather(plain[kept], [y[kept]], blocks(int(kept.sum()), 1000))[0].solve(0.1)
    np.testing.assert_allclose(ours.coefficients, reference.coefficients, rtol=1e-9)
    assert ours.predict(x)[3] == pytest.approx(ours.predict(plain)[3])


def test_horizons_with_the_same_missing_rows_share_sums_and_others_do_not_mix() -> None:
    x, y = rows()
    late = y.copy()
    late[150:] = np.nan
    both = gather(x, [y, 2 * y, late], blocks(200, 30))
    alone = gather(x, [late], blocks(200, 30))[0]
    np.testing.assert_array_equal(both[2].gram, alone.gram)
    np.testing.assert_allclose(both[1].moment, 2 * both[0].moment)
    assert [total.rows for total in both] == [200, 200, 150]


def test_the_penalty_is_the_one_with_the_smallest_validation_error() -> None:
    x, y = rows()
    sums = gather(x, [y], blocks(200, 30))[0]
    other_x, other_y = rows(seed=2)
    chosen = choose(sums, (0.01, 0.1, 1.0, 100.0), other_x, other_y)
    errors = {alpha: np.mean((other_y - sums.solve(alpha).predict(other_x)) ** 2) for alpha in (0.01, 0.1, 1.0, 100.0)}
    assert chosen.alpha == min(errors, key=errors.__getitem__)


def test_no_label_at_all_is_refused() -> None:
    x, y = rows()
    with pytest.raises(DataError, match="label"):
        gather(x, [y * np.nan], blocks(200, 30))[0].solve(0.1)
