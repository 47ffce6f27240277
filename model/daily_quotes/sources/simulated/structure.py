"""The fixed parts of the simulated market: who belongs where, how volatile, how liquid.

Everything here follows from the settings alone, never from dates, so that a longer run has the same stocks. Each
kind of draw has a random stream of its own.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource


class Stream(IntEnum):
    """Random streams; a new use gets a new number, so that no earlier draw moves."""

    STRUCTURE = 1
    MARKET = 2
    SECTORS = 3
    CLUSTERS = 4
    SHOCKS = 5
    EVENTS = 6
    INTRADAY = 7
    VOLUME = 8
    REGIME = 9
    OUTAGES = 10
    REVISIONS = 11
    COMPANIES = 12
    STATEMENTS = 13
    FLOW = 14
    MARGIN = 15
    MARGIN_DAILY = 16
    SHORT_SELLING = 17
    INDEX = 18
    FLOW_CORRECTIONS = 19
    SHORT_SELLING_MISSING = 20


def generator(settings: SimulatedSource, stream: Stream) -> np.random.Generator:
    """The generator of one stream."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, int(stream)])))


@dataclass(frozen=True)
class Structure:
    """Per stock, in the order of the (sorted) codes; N stocks, K clusters, S sectors."""

    codes: tuple[str, ...]
    sector: NDArray[np.int64]
    cluster: NDArray[np.int64]
    leader: NDArray[np.bool_]
    volatility: NDArray[np.float64]
    """Standard deviation of the stock's own daily return."""
    relative_volatility: NDArray[np.float64]
    """Standard deviation of the stock's daily return less the market's part: the unit of the planted signals."""
    beta: NDArray[np.float64]
    cluster_loading: NDArray[np.float64]
    sector_loading: NDArray[np.float64]
    log_volume: NDArray[np.float64]
    first_price: NDArray[np.float64]
    listing_day: NDArray[np.int64]
    """Position of the first trading day of the stock, counted from the market's start."""
    market_volatility: float

    @property
    def size(self) -> int:
        """Number of stocks."""
        return len(self.codes)

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return int(self.cluster.max()) + 1


def structure(settings: SimulatedSource) -> Structure:
    """Draw the market's fixed parts."""
    rng = generator(settings, Stream.STRUCTURE)
    n = settings.stocks
    clusters = max(1, round(n / settings.cluster_size))
    cluster = rng.permutation(np.arange(n) % clusters)
    sector = rng.integers(0, settings.sectors, n)
    leader = np.zeros(n, dtype=np.bool_)
    for each in range(clusters):
        members = np.flatnonzero(cluster == each)
        leader[members[: settings.leaders_per_cluster]] = True
    total = settings.daily_volatility * np.exp(0.25 * rng.standard_normal(n))
    own = 1.0 - settings.market_share - settings.cluster_share - settings.sector_share
    late = rng.random(n) < settings.late_listing_share
    listing_day = np.where(late, rng.integers(1, 1250, n), 0)
    sign = np.where(rng.random(n) < 0.10, -1.0, 1.0)
    loading = np.sqrt(settings.cluster_share) * total * rng.uniform(0.85, 1.15, n)
    market_volatility = settings.daily_volatility * float(np.sqrt(settings.market_share))
    return Structure(
        codes=_codes(n),
        sector=sector.astype(np.int64),
        cluster=cluster.astype(np.int64),
        leader=leader,
        volatility=np.sqrt(own) * total,
        relative_volatility=np.sqrt(1.0 - settings.market_share) * total,
        beta=total / settings.daily_volatility * rng.uniform(0.7, 1.3, n),
        cluster_loading=loading * sign,
        sector_loading=np.sqrt(settings.sector_share) * total,
        log_volume=np.log(200_000.0) + 0.8 * rng.standard_normal(n) + 1.8 * leader,
        first_price=np.exp(np.log(1500.0) + 0.7 * rng.standard_normal(n)),
        listing_day=listing_day.astype(np.int64),
        market_volatility=market_volatility,
    )


def _codes(n: int) -> tuple[str, ...]:
    """Five characters, sorted; every tenth carries a letter, as newer codes do."""
    step = max(1, 8698 // n)
    numbers = [1301 + step * position for position in range(n)]
    return tuple(
        sorted(
            f"{number // 10:03d}A0" if position % 10 == 9 else f"{number:04d}0"
            for position, number in enumerate(numbers)
        )
    )
