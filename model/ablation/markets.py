"""The markets of the ablation: the same market with all of its planted signals, and with one kind of them alone.

A part of the network is judged where its signal is the only one, so that nothing else can make up for it, and the
whole network where all are mixed. Structure, seed and noise are those of the configuration's simulated source. Data
that were not simulated are one market, on which every part is judged without knowing what there is to find.
"""

from collections.abc import Sequence
from typing import Literal

from model.daily_quotes.settings import SimulatedSource
from model.errors import SettingsError
from model.settings.root import Settings

Market = Literal["whole", "tabular", "lead_lag", "regime", "own"]
MARKETS: tuple[Market, ...] = ("whole", "tabular", "lead_lag", "regime")
"""Those of a simulated source."""
OWN: Market = "own"
"""The market of any other source."""
_STRENGTHS = ("tabular_strength", "lead_lag_strength", "regime_strength")


def markets_of(settings: Settings, wanted: Sequence[str] = ()) -> tuple[Market, ...]:
    """The markets of a configuration that are wanted (by default all of them), in their order.

    Raises:
        SettingsError: markets of planted signals are wanted, and the source has none.
    """
    if isinstance(settings.source, SimulatedSource):
        return tuple(market for market in MARKETS if not wanted or market in wanted)
    if set(wanted) - {OWN}:
        raise SettingsError(
            f"The market {next(name for name in wanted if name != OWN)!r} has planted signals, and source.kind is "
            f"{settings.source.kind}. Use the preset ablation, or one with source.kind: simulated; on data of your own "
            "leave --market out."
        )
    return (OWN,)


def judged_horizon(settings: Settings) -> int:
    """The horizon of the claims: that of the headline on data of one's own, of the planted signals otherwise."""
    simulated = isinstance(settings.source, SimulatedSource)
    return min(settings.labels.horizons) if simulated else settings.portfolio.headline_horizon


def market_settings(settings: Settings, market: Market) -> Settings:
    """The configuration with the planted signals of one market.

    Raises:
        SettingsError: the signal asked for has no strength.
    """
    source = settings.source
    if market in ("whole", OWN) or not isinstance(source, SimulatedSource):
        return settings
    kept = f"{market}_strength"
    if not getattr(source, kept):
        raise SettingsError(f"source.{kept} is 0, so the market {market!r} would have no signal. Give it a strength.")
    silent = {name: 0.0 for name in (*_STRENGTHS, "statement_strength") if name != kept}
    return settings.model_copy(update={"source": source.model_copy(update=silent)})
