"""Moving averages: price over each, gaps between them, and slopes.

An EMA of span s has weights (1 - 2/(s+1))^age over the last m days, normalised over the days present; m is the
power of two from 4 s upward, after which less than 0.04 % of the weight is missing.
"""

from model.quality_features import windows as w
from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array

_CLOSE = ("AdjClose",)


def memory(span: int) -> int:
    """Days that an EMA of a span looks back: the smallest power of two of at least 4 spans."""
    return 1 << (4 * span - 1).bit_length()


def ema(stock: Stock, span: int) -> Array:
    """Exponential moving average of the close."""
    return stock.exponential(stock.close, 1.0 - 2.0 / (span + 1.0), memory(span))


def _over_sma(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return stock.close / stock.sma(days) - 1.0

    return Feature(f"sma_ratio_{days}d", "trend", f"C / SMA{days} - 1", days, _CLOSE, compute)


def _over_ema(span: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return stock.close / ema(stock, span) - 1.0

    return Feature(f"ema_ratio_{span}d", "trend", f"C / EMA{span} - 1", memory(span), _CLOSE, compute)


def _gap(short: int, long: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return stock.sma(short) / stock.sma(long) - 1.0

    return Feature(f"sma_gap_{short}_{long}d", "trend", f"SMA{short} / SMA{long} - 1", long, _CLOSE, compute)


def _slope(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        average = stock.sma(days)
        return average / w.lag(average, 5) - 1.0

    return Feature(f"sma_slope_{days}d", "trend", f"SMA{days}[t] / SMA{days}[t-5] - 1", days + 5, _CLOSE, compute)


FEATURES: tuple[Feature[Stock], ...] = (
    *(_over_sma(days) for days in (5, 20, 60)),
    *(_over_ema(span) for span in (10, 20, 60)),
    _gap(5, 20),
    _gap(20, 60),
    _slope(20),
    _slope(60),
)
