"""Ridge regression in closed form, its sums gathered day by day.

For rows x (missing features are 0, the centre of the day), targets y and n rows it minimises

    sum (y - a - x b)^2 / n + alpha |b|^2,

so ``alpha`` does not depend on the number of rows; the intercept a is not penalised. Sums are float64.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RidgeFit:
    """A fitted line: prediction = intercept + x @ coefficients."""

    coefficients: Array
    """[F]"""
    intercept: float
    alpha: float

    def predict(self, x: NDArray[np.float32]) -> Array:
        """Predictions [R] for z-scores [R, F], NaN meaning missing."""
        result: Array = _plain(x) @ self.coefficients + self.intercept
        return result


@dataclass
class Sums:
    """X'X [F+1, F+1], X'y [F+1] and the rows they are of, with a column of ones last."""

    gram: Array
    moment: Array
    rows: int = 0

    @classmethod
    def empty(cls, features: int) -> "Sums":
        """No rows yet."""
        return cls(np.zeros((features + 1, features + 1)), np.zeros(features + 1))

    def solve(self, alpha: float) -> RidgeFit:
        """The minimum for one penalty.

        Raises:
            DataError: there are no rows.
        """
        if not self.rows:
            raise DataError(
                "Ridge has no row with a label among its train dates. Check the labels of quality_features, or start "
                "the folds later (folds.periods)."
            )
        penalty = np.full(len(self.moment), alpha)
        penalty[-1] = 0.0
        left, right = self.gram / self.rows + np.diag(penalty), self.moment / self.rows
        solution = np.asarray(np.linalg.solve(left, right), np.float64)
        return RidgeFit(solution[:-1], float(solution[-1]), alpha)


def gather(x: NDArray[np.float32], targets: Sequence[Array], blocks: Iterable[slice]) -> list[Sums]:
    """The sums of every target (each [R], NaN where missing), adding the blocks in order."""
    sums = [Sums.empty(x.shape[1]) for _ in targets]
    for block in blocks:
        rows = np.column_stack([_plain(x[block]), np.ones(block.stop - block.start)])
        grams: dict[bytes, tuple[Array, Array]] = {}
        for total, target in zip(sums, targets, strict=True):
            y = target[block]
            known = np.isfinite(y)
            key = known.tobytes()
            if key not in grams:  # horizons mostly share their missing rows
                kept = rows[known]
                grams[key] = (kept, kept.T @ kept)
            kept, gram = grams[key]
            total.gram += gram
            total.moment += kept.T @ y[known]
            total.rows += int(known.sum())
    return sums


def choose(sums: Sums, alphas: Sequence[float], x: NDArray[np.float32], y: Array) -> RidgeFit:
    """The fit with the smallest squared error on other rows (the validation dates); the first of equals."""
    known = np.isfinite(y)
    fits = [sums.solve(alpha) for alpha in alphas]
    if not known.any():
        return fits[-1]
    errors = [float(np.mean((y[known] - fit.predict(x[known])) ** 2)) for fit in fits]
    return fits[int(np.argmin(errors))]


def _plain(x: NDArray[np.float32]) -> Array:
    plain: Array = np.nan_to_num(x.astype(np.float64), nan=0.0, copy=False)
    return plain
