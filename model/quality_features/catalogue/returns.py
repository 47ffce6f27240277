"""Returns of the stock itself over several horizons, simple and logarithmic, and their overnight and intraday parts."""

from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import close, lag, log1p, ret
from model.quality_features.language.operators import open as opening

HORIZONS = (1, 5, 10, 20, 60, 120)

FEATURES: tuple[Feature, ...] = (
    *(Feature(f"ret_{days}d", "returns", ret(close, days)) for days in HORIZONS),
    *(Feature(f"logret_{days}d", "returns", log1p(ret(close, days))) for days in HORIZONS),
    Feature("ret_overnight", "returns", opening / lag(close, 1) - 1, description="From yesterday's close to the open."),
    Feature("ret_intraday", "returns", close / opening - 1, description="From the open to the close."),
)
