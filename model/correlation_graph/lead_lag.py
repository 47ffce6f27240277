"""Which names lead their neighbours: does a name's own move say where its neighbours go the day after?

With x_j the standardised residual return of name j, clipped so that no single day decides, N(j) its neighbours and
s_jk = ±1 the sign of their correlation,

    u_j(t) = x_j(t) - (x_j(t) + sum_{k in N(j)} s_jk x_k(t)) / (1 + |N(j)|)        own move, the group's taken out
    p_j(t) = u_j(t - 1) * sum_{k in N(j)} s_jk x_k(t)                              it, times what the group did next
    lead_j = sum_t p_j(t) / sqrt(sum_t p_j(t)^2)                                   a t-statistic: about N(0, 1) without

Summing over the neighbours before testing makes it many times sharper than any single pair's lagged correlation (Hou
2007 and Bennett, Cucuringu and Reinert 2022 find such leaders in real markets). Only days of the window count, and the
pair (t - 1, t) lies within it, so a graph made at the close of a day knows nothing of the day after.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLIP = 3.0
"""Standardised returns are clipped at plus or minus this before they are multiplied."""
DECIMALS = 4
_FEWEST_DAYS = 20


def leadership(returns: Array, first: NDArray[np.int64], second: NDArray[np.int64], correlation: Array) -> Array:
    """The lead of every name over its neighbours.

    Args:
        returns: [W, N] residual returns, oldest first, NaN where missing.
        first, second: [E] the ends of each undirected edge (positions).
        correlation: [E] signed correlation of each edge; only its sign counts.

    Returns:
        [N] rounded t-statistics; 0 for a name without neighbours or with fewer than 20 pairs of days.
    """
    names = returns.shape[1]
    x = _standardised(returns)
    signs = np.zeros((names, names))
    signs[first, second] = signs[second, first] = np.sign(correlation)
    group = x @ signs
    own = x - (x + group) / (1.0 + np.abs(signs).sum(axis=0))
    own[~np.isfinite(returns)] = 0.0
    products = own[:-1] * group[1:]
    square = (products * products).sum(axis=0)
    known = ((products != 0.0).sum(axis=0) >= _FEWEST_DAYS) & (square > 0.0)
    lead: Array = np.divide(products.sum(axis=0), np.sqrt(square), out=np.zeros(names), where=known)
    return np.round(lead, DECIMALS)


def _standardised(returns: Array) -> Array:
    """Returns over each name's own root mean square, clipped; 0 where missing."""
    known = np.isfinite(returns)
    filled = np.where(known, returns, 0.0)
    scale = np.sqrt((filled * filled).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    x: Array = np.divide(filled, scale, out=np.zeros_like(filled), where=scale > 0.0)
    return np.clip(x, -CLIP, CLIP)
