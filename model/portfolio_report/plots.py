"""The report's figures."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from model.metrics.performance import drawdowns
from model.pictures.date_axis import date_locator
from model.pictures.html_style import INK, MUTED, TEXT_SIZE, legend, new_figure
from model.portfolio.costs import COMPONENTS
from model.portfolio_report.daily import COSTS, DailyFigures, rows_of
from model.portfolio_report.inputs import BESIDE, MODEL_LABELS, NETWORK, ORACLE, SUBMITTED
from model.portfolio_report.style import COST_COLOURS, MODEL_COLOURS, ROLE_COLOURS

WIDE = (9.6, 3.7)
HALF = (5.6, 3.5)
"""Inches."""
LEGEND_COLUMN = 2.0
"""Inches of a name in a legend."""
ROLLING_DAYS = 60
SUBJECTS = (NETWORK, SUBMITTED)


def cumulative_net(daily: DailyFigures, horizon: int) -> Figure:
    """Sum of daily net returns of every model, and of the subject's before costs.

    The oracle is left out: it would press all others against zero.
    """
    figure, axes = new_figure(*WIDE)
    for model in (name for name in daily.models if name != ORACLE):
        rows = _held(daily, model, horizon)
        axes.plot(_days(rows), np.cumsum(rows["net"].to_numpy()), **_line(model))
        if model in SUBJECTS:
            gross = {**_line(model), "label": f"{MODEL_LABELS[model]}, gross", "linestyle": ":", "linewidth": 1.4}
            axes.plot(_days(rows), np.cumsum(rows["gross"].to_numpy()), **gross)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def rolling_rank_ic(daily: DailyFigures, horizon: int) -> Figure:
    """RankIC through time: mean of the last 60 days, and two standard errors around the subject's."""
    figure, axes = new_figure(*WIDE)
    for model in daily.models:
        rows = rows_of(daily, model, horizon).filter(pl.col("rank_ic").is_not_null())
        window = min(ROLLING_DAYS, max(rows.height // 3, 2))
        mean, std = (
            rows.select(getattr(pl.col("rank_ic"), f"rolling_{kind}")(window)).to_series().to_numpy()
            for kind in ("mean", "std")
        )
        axes.plot(_days(rows), mean, **_line(model))
        if model in SUBJECTS:
            # Labels of neighbouring days overlap: a window holds about window / horizon independent ones.
            error = 2.0 * std / np.sqrt(max(window / horizon, 1.0))
            axes.fill_between(_days(rows), mean - error, mean + error, color=MODEL_COLOURS[model], alpha=0.16, lw=0)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def deciles(report: Mapping[str, Any]) -> Figure:
    """Mean return by prediction decile, with intervals, of the network and the best known baseline."""
    figure, axes = new_figure(*HALF)
    models = [model for model in (*SUBJECTS, "lightgbm") if report["deciles"].get(model)]
    width = 0.8 / max(len(models), 1)
    for place, model in enumerate(models):
        rows = report["deciles"][model]
        x = np.array([row["decile"] for row in rows]) + (place - (len(models) - 1) / 2) * width
        values = np.array([row["value"] for row in rows])
        colour = MODEL_COLOURS[model]
        axes.bar(x, values, width * 0.9, color=colour, alpha=0.9, label=MODEL_LABELS[model])
        bounds = [(at, row["interval"]) for at, row in zip(x, rows, strict=True) if row["interval"]]
        axes.vlines([at for at, _ in bounds], *np.array([i for _, i in bounds]).reshape(-1, 2).T, color=INK, lw=0.9)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set_xticks(range(1, 11))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.set_xlabel("prediction decile (10: highest)", color=MUTED, fontsize=TEXT_SIZE)
    legend(axes, LEGEND_COLUMN)
    return figure


def ic_decay(signal: Mapping[str, Any]) -> Figure:
    """RankIC with the return of each single day ahead, and its interval."""
    figure, axes = new_figure(*WIDE)
    for model, found in signal.items():
        rows = [row for row in found["ic_decay"] if row["value"] is not None]
        x, colour = [row["lag"] for row in rows], MODEL_COLOURS[model]
        axes.plot(x, [row["value"] for row in rows], marker="o", ms=3.5, **_line(model))
        known = [row for row in rows if row["interval"]]
        if known and model in SUBJECTS:
            low, high = np.array([row["interval"] for row in known]).T
            axes.fill_between([row["lag"] for row in known], low, high, color=colour, alpha=0.16, lw=0)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trading days ahead", color=MUTED, fontsize=TEXT_SIZE)
    legend(axes, LEGEND_COLUMN)
    return figure


def drawdown(daily: DailyFigures, horizon: int) -> Figure:
    """How far net wealth lies below its highest value so far."""
    figure, axes = new_figure(*HALF)
    for model in (name for name in daily.models if name != ORACLE):
        rows = _held(daily, model, horizon)
        below = drawdowns(rows["net"].to_numpy())
        axes.plot(_days(rows), below, **_line(model))
        if model in SUBJECTS:
            axes.fill_between(_days(rows), below, 0.0, color=MODEL_COLOURS[model], alpha=0.16, lw=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def distribution(daily: DailyFigures, horizon: int) -> Figure:
    """How the daily RankIC is spread, and its mean."""
    figure, axes = new_figure(*HALF)
    for model in (name for name in (*SUBJECTS, BESIDE) if name in daily.models):
        values = rows_of(daily, model, horizon)["rank_ic"].drop_nulls().to_numpy()
        if len(values):
            shares = np.full(len(values), 1.0 / len(values))
            tone = MODEL_COLOURS[model]
            axes.hist(values, bins=31, weights=shares, alpha=0.45, label=MODEL_LABELS[model], color=tone)
            axes.axvline(float(values.mean()), linestyle="--", linewidth=1.4, color=tone)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("daily RankIC", color=MUTED, fontsize=TEXT_SIZE)
    legend(axes, LEGEND_COLUMN)
    return figure


def costs(daily: DailyFigures, model: str, horizon: int) -> Figure:
    """What trading cost by month and component, and the mean turnover of a day (right)."""
    figure, axes = new_figure(*WIDE)
    month = pl.col("Date").dt.truncate("1mo").alias("Date")
    months = _held(daily, model, horizon).group_by(month).agg(pl.col(COSTS).sum(), pl.col("turnover").mean())
    months = months.sort("Date")
    below = np.zeros(months.height)
    for name, column in zip(COMPONENTS, COSTS, strict=True):
        paid = months[column].to_numpy()
        if paid.any():
            text = name.replace("_", "-")
            axes.bar(_days(months), paid, 24, bottom=below, color=COST_COLOURS[name], label=text)
            below = below + paid
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=2))
    right = axes.twinx()
    right.plot(_days(months), months["turnover"].to_numpy(), color=INK, linewidth=1.6)
    right.set_ylim(bottom=0.0)
    right.set_ylabel("turnover a day", color=MUTED, fontsize=TEXT_SIZE)
    right.tick_params(colors=MUTED, length=0, labelsize=TEXT_SIZE)
    right.spines[:].set_visible(False)
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def sectors(report: Mapping[str, Any]) -> Figure:
    """Mean long, short and net weight of the subject's book by sector."""
    subject = report["subject"]
    rows = report["exposures"][subject]["sectors"][::-1]
    figure, axes = new_figure(WIDE[0], 1.2 + 0.26 * len(rows))
    names = [row["sector"] for row in rows]
    for side, opacity in (("long", 0.85), ("short", 0.4)):
        axes.barh(names, [row[side] for row in rows], color=MODEL_COLOURS[subject], alpha=opacity, label=side)
    axes.plot([row["net"] for row in rows], names, "D", color=INK, ms=5, label="net")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    legend(axes, LEGEND_COLUMN)
    return figure


def exposures_over_time(report: Mapping[str, Any]) -> Figure:
    """Market beta and size of the subject's book over the last 60 held days, month by month."""
    subject = report["subject"]
    figure, axes = new_figure(*WIDE)
    for key, label, style in (("market_beta", "market beta", "-"), ("size", "size, long − short", ":")):
        rows = [row for row in report["exposures"][subject]["over_time"] if row[key] is not None]
        x, y = [_number(row["date"]) for row in rows], [row[key] for row in rows]
        axes.plot(x, y, style, color=MODEL_COLOURS[subject], linewidth=1.8, label=label)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def fold_timeline(folds: Sequence[Mapping[str, Any]]) -> Figure:
    """What each fold learns from, chooses on and is tested on, with purge and embargo between."""
    figure, axes = new_figure(WIDE[0], 1.3 + 0.34 * len(folds))
    axes.grid(visible=False)
    named: set[str] = set()
    for row, fold in enumerate(folds):
        for stretch in fold["stretches"]:
            role = stretch["role"]
            start, end = _number(stretch["start"]), _number(stretch["end"]) + 1.0
            label = "_" if role in named else role
            named.add(role)
            axes.barh(row, end - start, left=start, height=0.62, color=ROLE_COLOURS[role], label=label)
    axes.set_yticks(range(len(folds)), [str(fold["fold"]) for fold in folds])
    axes.invert_yaxis()
    _date_axis(axes)
    legend(axes, LEGEND_COLUMN)
    return figure


def training_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """RankIC on the validation days by epoch, one line a fold; dots mark where a phase begins."""
    figure, axes = new_figure(*WIDE)
    shades = np.linspace(1.0, 0.35, max(len(curves), 1))
    for (fold, history), shade in zip(curves.items(), shades, strict=True):
        known = [record for record in history if record.get("val_rank_ic") is not None]
        x, y = [record["epoch"] for record in known], [record["val_rank_ic"] for record in known]
        axes.plot(x, y, color=MODEL_COLOURS[NETWORK], alpha=float(shade), lw=1.6, label=fold)
        first = [n for n, record in enumerate(known) if n == 0 or record["phase"] != known[n - 1]["phase"]]
        axes.plot(
            [x[n] for n in first], [y[n] for n in first], "o", ms=4, color=MODEL_COLOURS[NETWORK], alpha=float(shade)
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch", color=MUTED, fontsize=TEXT_SIZE)
    legend(axes, LEGEND_COLUMN)
    return figure


def _held(daily: DailyFigures, model: str, horizon: int) -> pl.DataFrame:
    return rows_of(daily, model, horizon).filter(pl.col("net").is_not_null())


def _days(rows: pl.DataFrame) -> Any:
    return rows["Date"].to_numpy()


def _line(model: str) -> dict[str, Any]:
    leading = model in SUBJECTS
    return {
        "color": MODEL_COLOURS[model],
        "label": MODEL_LABELS[model],
        "linewidth": 2.2 if leading else 1.2,
        "linestyle": (0, (4, 2)) if model == ORACLE else "-",
        "zorder": 3 if leading else 2,
    }


def _date_axis(axes: Axes) -> None:
    locator = date_locator(minticks=2, maxticks=max(int(_width(axes)), 5))
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    axes.margins(x=0.01)


def _number(day: str) -> float:
    return float(date2num(date.fromisoformat(day)))  # type: ignore[no-untyped-call]


def _width(axes: Axes) -> float:
    """Inches of the figure that the axes stand in."""
    figure = axes.get_figure(root=True)
    return 0.0 if figure is None else float(figure.get_figwidth())
