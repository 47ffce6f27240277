"""Quality features: where a name stands in its day's cross-section, flags of extremes, Sharpe-like ratios.

Positions are among the day's universe members: (members below + half the members equal) / members.
"""

from model.quality_features.catalogue.volatility import ANNUAL, volatility
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import abs as magnitude
from model.quality_features.language.operators import close, log, mean, positive, rank, ret, std, turnover
from model.quality_features.settings import FeatureSettings

_RETURN = ret(close, 1)


def features(settings: FeatureSettings) -> tuple[Feature, ...]:
    """The group; the thresholds of the volatility flags are the settings'."""
    place = rank(volatility(20))
    return (
        *(Feature(f"xs_rank_ret_{days}d", "quality", rank(ret(close, days))) for days in (1, 5, 20)),
        Feature("xs_rank_log_turnover_20d", "quality", rank(log(positive(mean(turnover, 20))))),
        Feature("xs_quantile_vol_20d", "quality", place),
        Feature("flag_high_vol", "quality", place >= settings.high_volatility_quantile),
        Feature("flag_low_vol", "quality", place <= settings.low_volatility_quantile),
        Feature(
            "flag_two_sigma",
            "quality",
            magnitude(_RETURN - mean(_RETURN, 60)) > 2 * std(_RETURN, 60),
            description="1 where the day's return is more than two standard deviations from its mean, else 0.",
        ),
        *(
            Feature(f"sharpe_{days}d", "quality", ANNUAL * (mean(_RETURN, days) / std(_RETURN, days)))
            for days in (20, 60)
        ),
    )
