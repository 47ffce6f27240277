"""One month of the panel: gated, adjusted, with membership."""

from dataclasses import dataclass

import polars as pl

from model.raw_dataset.adjustment import next_state, with_cumulative
from model.raw_dataset.gate import gate, traded_value
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.raw_dataset.universe import membership

PANEL = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        "Open": pl.Float64(),
        "High": pl.Float64(),
        "Low": pl.Float64(),
        "Close": pl.Float64(),
        "Volume": pl.Int64(),
        "TurnoverValue": pl.Float64(),
        "AdjustmentCumulative": pl.Float64(),
        "AdjOpen": pl.Float64(),
        "AdjHigh": pl.Float64(),
        "AdjLow": pl.Float64(),
        "AdjClose": pl.Float64(),
        "AdjVolume": pl.Float64(),
        "Tradable": pl.Boolean(),
        "LimitUp": pl.Boolean(),
        "LimitDown": pl.Boolean(),
        "Sector": pl.String(),
        "InUniverse": pl.Boolean(),
    }
)
"""Column name to dtype, in order; sorted by Date and Code and unique on them. Prices as traded beside adjusted ones."""


@dataclass(frozen=True)
class Month:
    """A month's panel, its quarantined rows, and what the next month starts from."""

    panel: pl.DataFrame
    quarantine: pl.DataFrame
    state: pl.DataFrame


def build_month(
    quotes: pl.DataFrame,
    state: pl.DataFrame,
    members: pl.DataFrame,
    quality: QualitySettings,
    universe: UniverseSettings,
) -> Month:
    """The panel of one month from its canonical rows.

    Args:
        quotes: canonical rows of the month's days, sorted by Date and Code.
        state: see :mod:`model.raw_dataset.adjustment`.
        members: the choices of the universe that hold in the month; without a size every name with a close is in.
    """
    gated = gate(with_cumulative(quotes, state), quality)
    cumulative = pl.col("cumulative")
    adjusted = [(pl.col(name) / cumulative).alias(f"Adj{name}") for name in ("Open", "High", "Low", "Close")]
    panel = gated.rows.with_columns(
        TurnoverValue=traded_value(),
        AdjustmentCumulative=cumulative,
        AdjVolume=pl.col("Volume") * cumulative,
        Tradable=(pl.col("Close").is_not_null() & (pl.col("Volume") > 0)).fill_null(False),
        LimitUp="UpperLimit",
        LimitDown="LowerLimit",
        InUniverse=_in_universe(gated.rows, members, universe),
    ).with_columns(adjusted)
    panel = panel.select(list(PANEL))
    return Month(panel, gated.quarantine, next_state(state, panel))


def _in_universe(rows: pl.DataFrame, members: pl.DataFrame, settings: UniverseSettings) -> pl.Series:
    """Members with a close that day: a name without a price can neither be predicted nor traded."""
    priced = rows["Close"].is_not_null()
    if settings.size is None:
        return priced & (rows["Close"] >= settings.min_price).fill_null(False)
    return priced & membership(rows.select("Date", "Code"), members)
