"""Pairwise correlation with missing values and decaying weights, by matrix products.

For names i and j only the days on which both have a return count. With weights w_t and masks m_it,

    S       = sum_t w_t m_it m_jt        E_i|j = sum_t w_t x_it m_jt / S
    cov     = sum_t w_t x_it x_jt / S - E_i|j E_j|i
    var_i|j = sum_t w_t x_it^2 m_jt / S - E_i|j^2        corr = cov / sqrt(var_i|j var_j|i)

so all pairs take a handful of products of [N, W] with [W, N] matrices. Without missing values and with flat weights
this is the ordinary correlation matrix.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DECIMALS = 6
"""Correlations are rounded, so that ties and thresholds do not hang on the last bit of a matrix product."""
NAMES_PER_BLOCK = 256
"""Names correlated with all others at a time: bounds the memory of the products."""
_LEAST_VARIANCE_SHARE = 1e-9


def weights(window: int, halflife: float | None) -> Array:
    """Weights of the days of a window [W], oldest first, summing to 1; None weighs all alike."""
    age = np.arange(window - 1, -1, -1, dtype=np.float64)
    raw = np.ones(window) if halflife is None else np.exp2(-age / halflife)
    normed: Array = raw / raw.sum()
    return normed


def chance(weight: Array) -> float:
    """Standard error of the correlation of two independent names over days so weighted [W]: 1 / √n of n equal ones.

    Unequal weights summing to 1 are worth 1 / Σ w² equal days (Kish 1965).
    """
    return float(np.sqrt(np.square(weight).sum()))


def masked_correlation(returns: Array, weight: Array, *, min_joint: int, shrinkage: float) -> Array:
    """Correlation of every pair of names over the days that both have.

    Args:
        returns: [W, N], NaN where missing.
        weight: [W], positive.
        min_joint: fewest joint days.
        shrinkage: share by which correlations are drawn towards zero.

    Returns:
        [N, N] symmetric, rounded; NaN where a pair has too few joint days or a side does not move, and on the diagonal.
    """
    known = np.isfinite(returns)
    mask = known.astype(np.float64)
    # Correlation does not depend on the origin; taking each name's own mean out first keeps the sums well conditioned.
    own_weight = np.maximum(weight @ mask, np.finfo(np.float64).tiny)
    origin = (weight @ np.where(known, returns, 0.0)) / own_weight
    x = np.where(known, returns - origin, 0.0)
    names = returns.shape[1]
    upper = np.full((names, names), np.nan)
    for start in range(0, names, NAMES_PER_BLOCK):
        rows, columns = slice(start, start + NAMES_PER_BLOCK), slice(start, names)
        block = _block(x, mask, weight, rows, columns, min_joint)
        upper[rows, columns] = np.round((1.0 - shrinkage) * block, DECIMALS)
    lower = np.tril_indices(names)
    upper[lower] = upper.T[lower]
    np.fill_diagonal(upper, np.nan)
    return upper


def _block(x: Array, mask: Array, weight: Array, rows: slice, columns: slice, min_joint: int) -> Array:
    """Correlation of some names with others, without shrinkage; NaN where there is none.

    Args:
        x: [W, N], 0 where missing.
        mask: [W, N], 1 where there is a return.
    """
    x_i, x_j, m_i, m_j = x[:, rows], x[:, columns], mask[:, rows], mask[:, columns]
    w = weight[:, None]
    joint = m_i.T @ m_j
    total = (w * m_i).T @ m_j
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_i, mean_j = ((w * x_i).T @ m_j) / total, (m_i.T @ (w * x_j)) / total
        covariance = ((w * x_i).T @ x_j) / total - mean_i * mean_j
        variances = _variance(((w * x_i * x_i).T @ m_j) / total, mean_i)
        variances *= _variance((m_i.T @ (w * x_j * x_j)) / total, mean_j)
        correlation = np.clip(covariance / np.sqrt(variances), -1.0, 1.0)
    correlation[joint < min_joint] = np.nan
    return correlation


def _variance(square: Array, mean: Array) -> Array:
    """Variance from the mean square and the mean; NaN where nothing moves beyond rounding."""
    variance = square - mean * mean
    variance[~(variance > _LEAST_VARIANCE_SHARE * square)] = np.nan
    return variance
