"""The one way from features to z-scores, for the baseline and for the network alike. Needs NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError

_CELLS_AT_A_TIME = 1 << 23


@dataclass(frozen=True)
class Normalizer:
    """Centre, scale and clip bounds of a fold's features on each day of its window."""

    dates: NDArray[np.int32]
    """Days since 1970-01-01 [T]: every date of the fold's window."""
    features: tuple[str, ...]
    mean: NDArray[np.float64]
    """Centre [T, F]: the mean, or the median if the method is robust; NaN where the day has no value."""
    std: NDArray[np.float64]
    """Scale [T, F]: the standard deviation, or 1.4826 MAD; NaN or 0 where there is none."""
    low: NDArray[np.float64]
    """Lower clip bound of the z-scores [F]."""
    high: NDArray[np.float64]
    """Upper clip bound of the z-scores [F]."""
    target_scale: dict[int, float]
    """Standard deviation of the labels on train dates, by horizon."""

    def take(self, features: Sequence[str]) -> "Normalizer":
        """The same for some of the features, in the order given.

        Raises:
            DataError: a feature was never normalised in this fold.
        """
        unknown = [name for name in features if name not in self.features]
        if unknown:
            raise DataError(
                f"The fold's normalisation has no statistics for {len(unknown)} of {len(features)} features asked for: "
                f"{', '.join(unknown[:10])}. Choose from the catalogue of quality_features, or switch its group on."
            )
        index = [self.features.index(name) for name in features]
        return replace(
            self,
            features=tuple(features),
            mean=self.mean[:, index],
            std=self.std[:, index],
            low=self.low[index],
            high=self.high[index],
        )

    def apply(self, x: NDArray[Any], day_index: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """z-scores, clipped; 0 (the centre) where the value, or the day's spread, is missing.

        Args:
            x: raw features ``[T, N, F]`` on the normaliser's dates, or rows ``[R, F]`` with ``day_index``.
            day_index: position of each row's day in ``dates`` ``[R]``.

        Returns:
            float32 of the same shape, finite everywhere.

        Raises:
            ValueError: the shapes do not belong to this normaliser.
        """
        if x.shape[-1] != len(self.features):
            raise ValueError(f"x has {x.shape[-1]} features and the normaliser {len(self.features)}")
        if day_index is None:
            if x.ndim != 3 or len(x) != len(self.dates):
                raise ValueError(f"x must be [{len(self.dates)}, N, {len(self.features)}], not {list(x.shape)}")
            day_index = np.arange(len(self.dates))
        elif x.ndim != 2 or len(day_index) != len(x):
            raise ValueError(f"rows must be [R, F] with one day each, not {list(x.shape)} with {len(day_index)} days")
        result = np.empty(x.shape, dtype=np.float32)
        step = max(1, _CELLS_AT_A_TIME // max(1, int(np.prod(x.shape[1:]))))
        for begin in range(0, len(x), step):
            part = slice(begin, begin + step)
            result[part] = self._scores(x[part], day_index[part])
        return result

    def _scores(self, x: NDArray[Any], day: NDArray[np.int64]) -> NDArray[np.float64]:
        shape = (len(x), *(1,) * (x.ndim - 2), len(self.features))
        center, scale = self.mean[day].reshape(shape), self.std[day].reshape(shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = (x.astype(np.float64) - center) / scale
        known = np.isfinite(scores) & (scale > 0.0)
        clipped: NDArray[np.float64] = np.where(known, np.clip(scores, self.low, self.high), 0.0)
        return clipped
