"""Several figures read at once: how many of them would look good by luck."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjusted_p(p_values: ArrayLike) -> NDArray[np.float64]:
    """Smallest false-discovery rate at which each figure is still called a discovery.

    Benjamini and Hochberg (1995): with p-values in increasing order, ``q_i = min over j >= i of p_j m / j``. Missing
    p-values (NaN) are no tests: they are not counted, and stay NaN.

    Raises:
        ValueError: a p-value lies outside 0 to 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    there = ~np.isnan(p)
    if ((p[there] < 0.0) | (p[there] > 1.0)).any():
        raise ValueError("p-values lie between 0 and 1")
    order = np.argsort(p[there], kind="stable")
    count = len(order)
    scaled = p[there][order] * count / np.arange(1, count + 1)
    smallest = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    found = np.empty(count)
    found[order] = smallest
    adjusted = np.full(p.shape, np.nan)
    adjusted[there] = found
    return adjusted
