"""Financial statements and forecasts as known at the close.

Reported figures are cumulative in the fiscal year; growth compares them with the same quarter a year before, and
returns on capital scale them to a year. Changes are over the absolute value of the base, so that growth out of a loss
counts as growth. The market value is the adjusted close times the adjusted shares of the newest statement, so that a
split after the statement does not move it.
"""

from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import abs as magnitude
from model.quality_features.language.operators import close, column, log, mean, positive, volume

_SALES, _OPERATING, _PROFIT = column("sales"), column("operating_profit"), column("profit")
_ASSETS, _EQUITY = column("assets"), column("equity")
_QUARTER = column("quarter")
_FORECAST = column("forecast_profit")
_SHARES = column("shares_outstanding")
_MARKET_VALUE = close * _SHARES
_BEFORE_YEAR_END = positive(_QUARTER < 4)
"""1 in the first three quarters; missing at year end, where forecasts are for another year than the figures."""


def _change(now: Expression, before: Expression) -> Expression:
    return (now - before) / magnitude(before)


def _yoy(name: str) -> Feature:
    return Feature(f"{name}_yoy", "statements", _change(column(name), column(f"{name}_year_ago")))


def _progress(name: str) -> Feature:
    share = column(name) / positive(column(f"forecast_{name}")) / _BEFORE_YEAR_END
    return Feature(f"{name}_progress", "statements", share, description="Share of the full-year forecast reached.")


FEATURES: tuple[Feature, ...] = (
    *(_yoy(name) for name in ("sales", "operating_profit", "profit")),
    Feature("operating_margin", "statements", _OPERATING / positive(_SALES)),
    Feature("net_margin", "statements", _PROFIT / positive(_SALES)),
    *(_progress(name) for name in ("sales", "operating_profit", "profit")),
    Feature(
        "forecast_revision",
        "statements",
        _change(_FORECAST, column("forecast_profit_before")),
        description="Profit forecast against the one before for the same year.",
    ),
    Feature("roe", "statements", 4 / _QUARTER * _PROFIT / positive(_EQUITY), description="Return on equity, a year."),
    Feature("roa", "statements", 4 / _QUARTER * _PROFIT / positive(_ASSETS), description="Return on assets, a year."),
    Feature("equity_ratio", "statements", _EQUITY / positive(_ASSETS)),
    Feature("book_to_price", "statements", _EQUITY / _MARKET_VALUE),
    Feature("forecast_earnings_yield", "statements", _FORECAST / _MARKET_VALUE),
    Feature("log_market_value", "statements", log(_MARKET_VALUE), description="ln; currency of the quotes."),
    Feature(
        "turnover_rate_20d",
        "statements",
        mean(volume, 20) / _SHARES,
        description="Mean volume a day over the shares outstanding.",
    ),
    Feature(
        "days_since_statement",
        "statements",
        column("days_since_statement"),
        description="Trading days since the newest statement counts.",
    ),
)
