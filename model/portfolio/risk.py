"""The covariance that the optimiser sees: a few principal components of past returns, and each stock's own variance.

With the N stocks far outnumbering the days of history, the sample covariance is singular and its smallest directions
are noise; keeping the leading components and a diagonal is the statistical factor model (Connor and Korajczyk 1988).
"""

from dataclasses import dataclass

import numpy as np

from model.portfolio.market import Floats, Ints, Market

_LEAST_VOLATILITY = 1e-4


@dataclass(frozen=True)
class RiskModel:
    """Covariance of n stocks over the horizon: ``loadings @ loadings.T + diag(own ** 2)``."""

    loadings: Floats
    """[n, K]."""
    own: Floats
    """[n] standard deviation of what the factors leave."""

    def covariance(self) -> Floats:
        """[n, n]."""
        return np.asarray(self.loadings @ self.loadings.T + np.diag(self.own**2))


def risk_model(market: Market, day: int, codes: Ints, days: int, factors: int, horizon: int) -> RiskModel:
    """Estimate from the returns known on the day.

    Args:
        day: position among the test days.
        codes: [n] positions of the stocks.
        days: daily returns to use; a missing one counts as the stock's mean.
        factors: most principal components.
        horizon: trading days over which the risk is stated.
    """
    row = int(market.day[day])
    past = market.calendar_returns[max(row - days, 0) : row, codes]
    volatility = np.maximum(market.known_volatility[day, codes], _LEAST_VOLATILITY)
    known = ~np.isnan(past)
    count = known.sum(axis=0)
    mean = np.where(known, past, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(known, past - mean, 0.0)
    degrees = np.maximum(count - 1, 1)
    total = np.where(count >= 2, (centred**2).sum(axis=0) / degrees, volatility**2)
    loadings = np.zeros((len(codes), factors))
    if len(past) > factors:
        _, size, directions = np.linalg.svd(centred / np.sqrt(degrees), full_matrices=False)
        kept = min(factors, len(size))
        loadings[:, :kept] = directions[:kept].T * size[:kept]
    own = np.sqrt(np.maximum(total - (loadings**2).sum(axis=1), (0.1 * volatility) ** 2))
    return RiskModel(loadings * np.sqrt(horizon), own * np.sqrt(horizon))
