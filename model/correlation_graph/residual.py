"""What a return is beyond the market's, on one scale, with no single day deciding.

Names differ in how far they go with the market. Taking the same move out of all leaves the market in those of high and
of low beta, which then seem to move together; so each name's own beta is taken. A beta of few days is mostly noise and
is drawn towards the names' mean by how much of their spread is noise (Vasicek 1973):

    m(t)    = mean of the day over the names that have a return
    b_i     = sum_t r_i m / sum_t m^2                       over the days that i has
    beta_i  = mean + (b_i - mean) v / (v + e_i^2)           e_i its standard error, v = var(b) - mean(e^2), at least 0
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLIP = 3.0
"""Standardised returns are clipped at plus or minus this: returns have fat tails, and products of them fatter ones."""


def market_residuals(returns: Array) -> Array:
    """Returns [W, N] minus the mean return of each day times each name's beta; NaN stays NaN."""
    known = np.isfinite(returns)
    filled = np.where(known, returns, 0.0)
    market = filled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    residual: Array = returns - market[:, None] * _betas(filled, known, market)
    return residual


def standardised(returns: Array) -> Array:
    """Returns [W, N] over each name's root mean square, clipped at plus or minus ``CLIP``; NaN stays NaN.

    A name that does not move stays at 0.
    """
    known = np.isfinite(returns)
    filled = np.where(known, returns, 0.0)
    scale = np.sqrt((filled * filled).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    x: Array = np.divide(returns, scale, out=np.where(known, 0.0, np.nan), where=known & (scale > 0.0))
    return np.clip(x, -CLIP, CLIP)


def _betas(filled: Array, known: NDArray[np.bool_], market: Array) -> Array:
    """[N] shrunk betas; 1 where the market never moved."""
    days = known.sum(axis=0)
    moved = (known * (market * market)[:, None]).sum(axis=0)
    there = (moved > 0.0) & (days > 1)
    if not there.any():
        return np.ones(filled.shape[1])
    raw = np.divide(market @ filled, moved, out=np.ones_like(moved), where=there)
    left = np.where(known, filled - market[:, None] * raw, 0.0)
    error = np.divide((left * left).sum(axis=0), (days - 1) * moved, out=np.zeros_like(moved), where=there)
    mean = float(raw[there].mean())
    spread = max(float(raw[there].var() - error[there].mean()), 0.0)
    share = np.divide(spread, spread + error, out=np.zeros_like(error), where=there & (spread + error > 0.0))
    betas: Array = mean + share * (raw - mean)
    return betas
