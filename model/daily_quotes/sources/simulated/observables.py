"""The planted signals, as functions of what anybody could observe up to a day.

The simulated market and the oracle both run this one class over the days: the market to move tomorrow's prices,
the oracle to say what tomorrow's prices are expected to do. It sees published returns, volumes and statements only;
what it knows beyond them is the structure (who belongs to which cluster, who leads).

Only elementwise arithmetic and reductions over the stocks present on the day are used, so a value of day t has the
same bits whatever comes later.
"""

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.structure import Structure

PARTS = ("reversal", "momentum", "volume", "lead_lag", "oscillation", "regime_momentum", "surprise")

HISTORY_DAYS = 60
REVERSAL_DAYS = 5
VOLUME_DAYS = 20
REGIME_DAYS = 20
PERIOD_DAYS = 10
CALM_VOLATILITY, STORMY_VOLATILITY = 0.75, 1.6
"""The market's volatility in its two regimes, in units of its long-run level."""
REGIME_THRESHOLD = 1.15
"""Realised volatility above this is a stormy market: momentum turns into reversal."""

_CLIP = 3.0
_FEWEST_MEMBERS = 3
_VOLUME_SURPRISE_STD = 0.45

Vector = NDArray[np.float64]


def part_weights(settings: SimulatedSource) -> NDArray[np.float64]:
    """Weight of each of ``PARTS``; a strength is about the daily IC of its parts together."""
    tabular, lead_lag, regime = settings.tabular_strength, settings.lead_lag_strength, settings.regime_strength
    statements = settings.statement_strength
    return np.array(
        [0.6 * tabular, 0.5 * tabular, 0.6 * tabular, 1.5 * lead_lag, 0.7 * regime, 0.7 * regime, statements]
    )


class ObservableState:
    """Runs over the days in order; N stocks in the structure's order."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._relative = np.zeros((HISTORY_DAYS, structure.size))
        self._volume = np.full((VOLUME_DAYS, structure.size), np.nan)
        self._market = np.zeros(REGIME_DAYS)
        waves = np.cos(2.0 * np.pi * np.arange(2 * PERIOD_DAYS) / PERIOD_DAYS)
        self._wave = (waves / np.sqrt(np.sum(waves**2)))[:, np.newaxis]
        self._sign = np.sign(structure.cluster_loading)

    def update(
        self,
        returns: NDArray[np.float64],
        volume: NDArray[np.float64],
        surprise: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Take in one day and give the parts of the expectation of the next day's return.

        Args:
            returns: [N] simple one-day returns, NaN where a close of the day or of the day before is missing.
            volume: [N] split-adjusted volumes, NaN where there was no trading.
            surprise: [N] what the statements of the last days say (:func:`...statements.surprise_signal`); none by
                default.

        Returns:
            [parts, N], each of about unit variance, 0 where nothing is known.
        """
        present = np.flatnonzero(~np.isnan(returns))
        market, relative = self._relative_returns(returns, present)
        self._relative = _push(self._relative, relative)
        self._volume = _push(self._volume, volume)
        self._market = _push(self._market, np.float64(market))
        past = self._relative
        recent = past[:REGIME_DAYS].sum(axis=0) / np.sqrt(REGIME_DAYS)
        return np.stack(
            [
                -_clip(past[:REVERSAL_DAYS].sum(axis=0) / np.sqrt(REVERSAL_DAYS)),
                _clip(past.sum(axis=0) / np.sqrt(HISTORY_DAYS)),
                self._volume_surprise(),
                self._lead_lag(relative, present),
                _clip((self._wave * past[: 2 * PERIOD_DAYS]).sum(axis=0)),
                self._regime_sign() * _clip(recent),
                np.zeros_like(recent) if surprise is None else surprise,
            ]
        )

    def _relative_returns(
        self, returns: NDArray[np.float64], present: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.float64]]:
        """The market's return, and each stock's return less its part of it, in units of its volatility."""
        relative = np.zeros(self._structure.size)
        if not len(present):
            return 0.0, relative
        beta = self._structure.beta[present]
        market = float(returns[present].mean() / beta.mean())
        relative[present] = (returns[present] - beta * market) / self._structure.relative_volatility[present]
        return market, relative

    def _volume_surprise(self) -> NDArray[np.float64]:
        known = ~np.isnan(self._volume)
        count = known.sum(axis=0)
        total = np.where(known, self._volume, 0.0).sum(axis=0)
        enough = known[0] & (count >= VOLUME_DAYS // 2)
        ratio = np.divide(self._volume[0] * count, total, out=np.ones_like(total), where=enough)
        surprise: Vector = np.clip((ratio - 1.0) / _VOLUME_SURPRISE_STD, -2.0, _CLIP)
        return surprise

    def _lead_lag(self, relative: NDArray[np.float64], present: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the leaders' own moves, less their cluster's, say about their followers."""
        structure = self._structure
        cluster = structure.cluster[present]
        loading = structure.cluster_loading[present] / structure.relative_volatility[present]
        size = structure.clusters
        count = np.bincount(cluster, minlength=size)
        square = np.bincount(cluster, weights=loading**2, minlength=size)
        cross = np.bincount(cluster, weights=loading * relative[present], minlength=size)
        usable = count >= _FEWEST_MEMBERS
        factor = np.divide(cross, square, out=np.zeros(size), where=usable & (square > 0))
        own = _clip(relative[present] - loading * factor[cluster]) * self._sign[present]
        leads = structure.leader[present] & usable[cluster]
        heads = np.bincount(cluster[leads], minlength=size)
        move = np.bincount(cluster[leads], weights=own[leads], minlength=size)
        signal = np.divide(move, np.sqrt(heads), out=np.zeros(size), where=heads > 0)
        return np.where(structure.leader, 0.0, self._sign * signal[structure.cluster])

    def _regime_sign(self) -> float:
        level = REGIME_THRESHOLD * self._structure.market_volatility
        return 1.0 if float(np.mean(self._market**2)) < level**2 else -1.0


def _push(history: NDArray[np.float64], newest: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """History with the newest day first and the oldest dropped."""
    moved = np.empty_like(history)
    moved[0] = newest
    moved[1:] = history[:-1]
    return moved


def _clip(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(values, -_CLIP, _CLIP)
