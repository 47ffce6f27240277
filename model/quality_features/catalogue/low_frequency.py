"""The slow part of the returns: what a Fourier filter over past values only leaves."""

from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import close, lag, log, low_pass

FEATURES: tuple[Feature, ...] = (
    Feature(
        "low_freq_ret_64d",
        "low_frequency",
        low_pass(log(close / lag(close, 1)), 64, 2),
        description="Frequencies 0, 1 and 2 of the Fourier transform of 64 log returns, evaluated at the newest day.",
    ),
)
