"""The order of each day's values: by value, ties by position, missing ones last."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

_BEYOND = 1e300
_STEP = 1e-12
_BLOCK = 64
"""Rows sorted at a time, so that the work stays in the processor's cache."""


def row_order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions of each row's values from lowest to highest, equal ones by position, NaN last (also by position).

    What ``np.argsort(values, axis=1, kind="stable")`` gives, at less than half the cost where few values are equal: the
    fast sort is not stable, so the rows in which any two values are equal are sorted again.

    Args:
        values: [T, N].
    """
    order = np.empty(values.shape, dtype=np.int64)
    for start in range(0, len(values), _BLOCK):
        rows = slice(start, start + _BLOCK)
        order[rows] = _order_of(values[rows])
    return order


def _order_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    missing = np.isnan(values)
    if np.abs(values, where=~missing, out=np.zeros_like(values)).max(initial=0.0) >= _BEYOND:
        return np.argsort(values, axis=1, kind="stable")
    filled = (
        np.where(missing, _BEYOND * (1.0 + _STEP * np.arange(values.shape[1])), values) if missing.any() else values
    )
    order = np.argsort(filled, axis=1)
    ordered = in_order(filled, order)
    tied = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(tied):
        order[tied] = np.argsort(filled[tied], axis=1, kind="stable")
    return order


def in_order(values: NDArray[Scalar], order: NDArray[np.int64]) -> NDArray[Scalar]:
    """Each row's values in its order, ``np.take_along_axis(values, order, axis=1)`` row by row: a third of the cost."""
    found = np.empty(order.shape, dtype=values.dtype)
    for row, places, out in zip(values, order, found, strict=True):
        row.take(places, out=out, mode="clip")
    return found


def span(rows: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Increasing rows as a slice where they follow one another, so that reading them copies nothing."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
