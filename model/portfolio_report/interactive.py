"""The page's interactive plots of daily series, as plain Plotly documents.

A text that starts with ``--`` names a colour of the style sheet (``--model-ridge/0.2`` with its opacity), and one that
starts with ``@`` a list of days that several traces share: the page puts them in, again whenever light turns to dark.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from model.metrics.performance import drawdowns
from model.portfolio.book import CASH
from model.portfolio.costs import COMPONENTS
from model.portfolio_report.daily import COSTS, DailyFigures, rows_of
from model.portfolio_report.inputs import BESIDE, MODEL_LABELS, NETWORK, ORACLE, SUBMITTED

SUBJECTS = (NETWORK, SUBMITTED)
ROLLING_DAYS = 60
Trace = dict[str, Any]
Plot = dict[str, Any]
"""``data``, ``layout`` and ``height`` (pixels of the plotting area); with ``choices`` some traces show at a time,
at first those of ``chosen``."""
_BINS = 41


class Days:
    """Lists of days, each kept once."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []

    def of(self, rows: pl.DataFrame) -> str:
        """The place of the rows' dates."""
        days = rows["Date"].dt.strftime("%Y-%m-%d").to_list()
        if days not in self.lists:
            self.lists.append(days)
        return f"@{self.lists.index(days)}"


def numbers(values: ArrayLike) -> dict[str, str]:
    """Values as Plotly reads them without text; NaN leaves a gap."""
    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"dtype": "f4", "bdata": base64.b64encode(data).decode()}


def colour(model: str, opacity: float | None = None) -> str:
    """A model's colour."""
    return f"--model-{model}" + ("" if opacity is None else f"/{opacity}")


def plot(data: Sequence[Trace], height: int = 330, **layout: Any) -> Plot:
    """A plot with its own layout on top of what all share."""
    return {"data": list(data), "layout": layout, "height": height}


def cumulative(daily: DailyFigures, horizon: int, days: Days) -> Plot:
    """Sum of daily returns after costs, of the subject also before; the oracle is there on demand."""
    traces = []
    for model in daily.models:
        rows = held(daily, model, horizon)
        traces.append(line(model, days.of(rows), rows["net"].cum_sum().to_numpy(), hidden=model == ORACLE))
        if model in SUBJECTS:
            gross = line(model, days.of(rows), rows["gross"].cum_sum().to_numpy(), f"{MODEL_LABELS[model]}, gross")
            traces.append(gross | {"line": {"color": colour(model), "width": 1.4, "dash": "dot"}})
            name = daily.books[model][horizon].benchmark
            if name != CASH:
                market = line(model, days.of(rows), rows["benchmark"].cum_sum().to_numpy(), f"Benchmark: {name}")
                traces.append(market | {"line": {"color": "--muted", "width": 1.4, "dash": "dash"}})
    return plot(traces, yaxis={"tickformat": ".0%"})


def drawdown(daily: DailyFigures, horizon: int, days: Days) -> Plot:
    """How far net wealth lies below its highest value so far."""
    traces = []
    for model in daily.models:
        rows = held(daily, model, horizon)
        own = line(model, days.of(rows), drawdowns(rows["net"].to_numpy()), hidden=model == ORACLE)
        shade = {"fill": "tozeroy", "fillcolor": colour(model, 0.14)} if model in SUBJECTS else {}
        traces.append(own | shade)
    return plot(traces, 280, yaxis={"tickformat": ".0%"})


def rank_ic(daily: DailyFigures, horizon: int, days: Days) -> Plot:
    """RankIC through time: the mean of the last 60 days, and of the subject each day and two standard errors."""
    traces: list[Trace] = []
    for model in daily.models:
        rows = rows_of(daily, model, horizon).filter(pl.col("rank_ic").is_not_null())
        window = min(ROLLING_DAYS, max(rows.height // 3, 2))
        mean, std = (
            rows.select(getattr(pl.col("rank_ic"), f"rolling_{kind}")(window).fill_null(np.nan)).to_series().to_numpy()
            for kind in ("mean", "std")
        )
        x = days.of(rows)
        if model in SUBJECTS:
            # Labels of neighbouring days overlap: a window holds about window / horizon independent ones.
            error = 2.0 * std / np.sqrt(max(window / horizon, 1.0))
            plain = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
            traces.append({"type": "scatter", "x": x, "y": numbers(mean - error), **plain})
            band = {"fill": "tonexty", "fillcolor": colour(model, 0.16)}
            traces.append({"type": "scatter", "x": x, "y": numbers(mean + error), **plain, **band})
            dots = {"mode": "markers", "marker": {"size": 3, "color": colour(model, 0.35)}, "visible": "legendonly"}
            each = {"type": "scatter", "x": x, "y": numbers(rows["rank_ic"].to_numpy())}
            traces.append(each | dots | {"name": f"{MODEL_LABELS[model]}, each day"})
        traces.append(line(model, x, mean))
    return plot(traces)


def distribution(daily: DailyFigures, horizon: int) -> Plot:
    """How the daily RankIC is spread: share of days by value."""
    series = {
        model: rows_of(daily, model, horizon)["rank_ic"].drop_nulls().to_numpy()
        for model in (*SUBJECTS, BESIDE)
        if model in daily.models
    }
    known = np.concatenate(list(series.values()))
    if not len(known):
        return plot([])
    reach = max(float(np.abs(known).max()), 1e-6)
    edges = np.linspace(-reach, reach, _BINS + 1)
    traces, lines = [], []
    for model, values in series.items():
        share = np.histogram(values, edges)[0] / max(len(values), 1)
        traces.append(
            {
                "type": "bar",
                "name": MODEL_LABELS[model],
                "x": np.round((edges[1:] + edges[:-1]) / 2, 4).tolist(),
                "y": np.round(share, 4).tolist(),
                "marker": {"color": colour(model, 0.55), "line": {"width": 0}},
            }
        )
        if len(values):
            mean = float(values.mean())
            mark = {"color": colour(model), "width": 2, "dash": "dash"}
            lines.append({"type": "line", "x0": mean, "x1": mean, "y0": 0, "y1": 1, "yref": "paper", "line": mark})
    return plot(
        traces, 280, barmode="overlay", bargap=0.05, shapes=lines, yaxis={"tickformat": ".0%"}, hovermode="closest"
    )


def costs(daily: DailyFigures, model: str, horizon: int) -> Plot:
    """What trading cost by month and component, and the mean turnover of a day."""
    months = (
        held(daily, model, horizon)
        .group_by(pl.col("Date").dt.truncate("1mo").alias("Date"))
        .agg(pl.col(COSTS).sum(), pl.col("turnover").mean())
        .sort("Date")
    )
    x = months["Date"].dt.strftime("%Y-%m-%d").to_list()
    traces: list[Trace] = [
        {
            "type": "bar",
            "name": name.replace("_", "-").capitalize(),
            "x": x,
            "y": numbers(months[column].to_numpy()),
            "marker": {"color": f"--cost-{name}"},
        }
        for name, column in zip(COMPONENTS, COSTS, strict=True)
        if months[column].abs().sum() > 0.0
    ]
    turnover = line(model, "", months["turnover"].to_numpy(), "Turnover a day (right)")
    traces.append(turnover | {"x": x, "yaxis": "y2", "line": {"color": "--ink", "width": 1.6}})
    right = {
        "overlaying": "y",
        "tickmode": "auto",
        "nticks": 5,
        "side": "right",
        "rangemode": "tozero",
        "showgrid": False,
        "tickformat": ".2f",
    }
    return plot(traces, 280, barmode="stack", yaxis={"tickformat": ".2%"}, yaxis2=right)


def held(daily: DailyFigures, model: str, horizon: int) -> pl.DataFrame:
    """The days on which a model has a portfolio."""
    return rows_of(daily, model, horizon).filter(pl.col("net").is_not_null())


def line(model: str, x: Any, y: ArrayLike, name: str | None = None, hidden: bool = False) -> Trace:
    """A model's line."""
    leading = model in SUBJECTS
    stroke: Mapping[str, Any] = {"color": colour(model), "width": 2.4 if leading else 1.3}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name or MODEL_LABELS[model],
        "x": x,
        "y": numbers(y),
        "line": {**stroke, **({"dash": "dash"} if model == ORACLE else {})},
        **({"visible": "legendonly"} if hidden else {}),
    }
