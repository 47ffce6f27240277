"""The slow part of the returns: what a Fourier filter over past values only leaves."""

from model.quality_features import windows as w
from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array


def _low_frequency(stock: Stock) -> Array:
    return w.low_pass(stock.log_returns, 64, 2, stock.need(64))


FEATURES: tuple[Feature[Stock], ...] = (
    Feature(
        "low_freq_ret_64d",
        "low_frequency",
        "frequencies 0, 1 and 2 of the discrete Fourier transform of the last 64 log returns, evaluated at t",
        65,
        ("AdjClose",),
        _low_frequency,
    ),
)
