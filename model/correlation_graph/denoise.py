"""What of a correlation matrix is more than noise: eigenvalue clipping.

Of N names over n days, a sample correlation matrix of returns that have nothing in common still has eigenvalues up to

    edge = s2 (1 + sqrt(N / n))^2                                                        (Marchenko and Pastur 1967)

with s2 the variance left to noise, the mean of the eigenvalues that are noise, found by repetition. Eigenvalues above
the edge are kept with their vectors, those below are replaced by their mean, and the diagonal is set to 1 again
(Laloux, Cizeau, Bouchaud and Potters 1999; Plerou et al. 2002). A pair's correlation is so estimated from all names
that move with either of the two, not from the pair alone: groups come out whole, and chance neighbours fall away.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST_VARIANCE = 1e-9


def denoised(correlation: Array, days: float) -> Array:
    """The matrix without its noise.

    Args:
        correlation: [N, N] symmetric, NaN where there is none and on the diagonal.
        days: that it was estimated from; of unequal weights the effective number (1 / sum of squares).

    Returns:
        [N, N] symmetric, not rounded, NaN where ``correlation`` has NaN.
    """
    missing = ~np.isfinite(correlation)
    kept = np.flatnonzero(~missing.all(axis=0))
    if not len(kept):
        return correlation.copy()
    matrix = np.where(missing, 0.0, correlation)[np.ix_(kept, kept)]
    np.fill_diagonal(matrix, 1.0)
    values, vectors = np.linalg.eigh(matrix)
    signal, noise = _split(values, len(kept) / days)
    vectors = vectors[:, signal]
    clean = (vectors * (values[signal] - noise)) @ vectors.T + noise * np.eye(len(kept))
    variance = np.diag(clean)
    # A name of which neither signal nor noise is left (more names than days) goes with nobody.
    scale = np.where(variance > _LEAST_VARIANCE, np.sqrt(np.maximum(variance, 0.0)), np.inf)
    clean = np.clip(clean / np.outer(scale, scale), -1.0, 1.0)
    out = np.full_like(correlation, np.nan)
    out[np.ix_(kept, kept)] = (clean + clean.T) / 2.0
    out[missing] = np.nan
    return out


def _split(values: Array, names_a_day: float) -> tuple[NDArray[np.bool_], float]:
    """Which eigenvalues are more than noise, and the mean of those that are not.

    The fewer eigenvalues count as noise, the lower is their mean and so the edge: the set only shrinks, and the
    repetition ends.
    """
    edge_of_unit = (1.0 + np.sqrt(names_a_day)) ** 2
    noise = values <= edge_of_unit * values.mean()
    while True:
        level = max(float(values[noise].mean()), 0.0)
        lower = values <= edge_of_unit * level
        if lower.sum() >= noise.sum():
            return ~noise, level
        noise = lower
