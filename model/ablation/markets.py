"""The markets of the ablation: the same market with all of its planted signals, and with one kind of them alone.

A part of the network is judged where its signal is the only one, so that nothing else can make up for it, and the
whole network where all are mixed. Structure, seed and noise are those of the configuration's simulated source.
"""

from typing import Literal

from model.daily_quotes.settings import SimulatedSource
from model.errors import SettingsError
from model.settings.root import Settings

Market = Literal["whole", "tabular", "lead_lag", "regime"]
MARKETS: tuple[Market, ...] = ("whole", "tabular", "lead_lag", "regime")
_STRENGTHS = ("tabular_strength", "lead_lag_strength", "regime_strength")


def market_settings(settings: Settings, market: Market) -> Settings:
    """The configuration with the planted signals of one market.

    Raises:
        SettingsError: the source is not the simulated market, or the signal asked for has no strength.
    """
    source = settings.source
    if not isinstance(source, SimulatedSource):
        raise SettingsError(
            f"The ablation needs planted signals, and source.kind is {source.kind}. Use the preset ablation, or one "
            "with source.kind: simulated; on data of your own compare models with gogooku report."
        )
    if market == "whole":
        return settings
    kept = f"{market}_strength"
    if not getattr(source, kept):
        raise SettingsError(f"source.{kept} is 0, so the market {market!r} would have no signal. Give it a strength.")
    silent = {name: 0.0 for name in (*_STRENGTHS, "statement_strength") if name != kept}
    return settings.model_copy(update={"source": source.model_copy(update=silent)})
