"""The page: one self-contained HTML file that opens offline.

Layout and words are in ``report_template.html``; here the figures of ``report.json`` become text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from model.portfolio_report import plots, style
from model.portfolio_report.compare import Evaluation
from model.portfolio_report.headline import ORDER, counted, number, standing, verdict_sentence, verdicts
from model.portfolio_report.inputs import LEARNED, MODEL_LABELS, NETWORK, ORACLE, RANDOM

TEMPLATE = "report_template.html"
CHIPS = {"better": "network ahead", "worse": "network behind", "open": "undecided"}
Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def render(evaluation: Evaluation, curves: Curves, code_version: str) -> tuple[str, dict[str, bytes]]:
    """The page and the figures as PNG files by name.

    Args:
        curves: the training history of each fold, records with ``epoch``, ``phase`` and ``val_rank_ic``.
    """
    report = evaluation.report
    wide, narrow = _figures(evaluation, curves, plots.WIDE), _figures(evaluation, curves, plots.NARROW)
    pictures = {f"{name}.png": style.png(figure) for name, (figure, _) in wide.items()}
    drawn = {name: [Markup(style.svg(*sizes[name])) for sizes in (wide, narrow)] for name in wide}
    page = (
        _environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            config=report["config"],
            coverage=report["coverage"],
            horizon=report["config"]["headline_horizon"],
            percent=round(100 * report["config"]["confidence"]),
            verdict=verdict_sentence(report),
            tiles=_tiles(report),
            forests=[_forest(report, "rank_ic", "RankIC", 4), _forest(report, "sharpe", "Net Sharpe ratio", 2)],
            models=[model for model in ORDER if model in report["models"]],
            labels=MODEL_LABELS,
            network=NETWORK,
            figures=drawn,
            years=_years(report),
            code_version=code_version,
            light=style.LIGHT,
            dark=style.DARK,
        )
    )
    return page, pictures


def _figures(evaluation: Evaluation, curves: Curves, size: plots.Size) -> dict[str, tuple[Figure, str]]:
    """Figure and spoken title by file name; ``size`` is that of the figures that go across the page."""
    report, daily = evaluation.report, evaluation.daily
    h = int(report["config"]["headline_horizon"])
    half = plots.HALF if size == plots.WIDE else size
    figures = {
        "cumulative_net_return": (plots.cumulative_net(daily, h, size), "Cumulative net return by model"),
        "rank_ic": (plots.rolling_rank_ic(daily, h, size), "Rolling RankIC by model"),
        "deciles": (plots.deciles(report, half), "Mean return by prediction decile"),
        "drawdown": (plots.drawdown(daily, h, half), "Drawdown by model"),
        "folds": (plots.fold_timeline(report["folds"], size), "Train, validation and test period of each fold"),
    }
    if any(record.get("val_rank_ic") is not None for history in curves.values() for record in history):
        figures["training"] = (plots.training_curves(curves, size), "Validation RankIC by epoch")
    return figures


def _tiles(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The comparison in a few numbers: the network against each baseline, then what it is worth."""
    tiles = [
        {
            "title": f"RankIC, network − {MODEL_LABELS[other]}",
            "value": number(gap["value"], 4),
            "range": _range(gap, 4),
            "how": how,
            "chip": CHIPS[how],
        }
        for other, how, gap in verdicts(report)
        if other in LEARNED
    ]
    h = str(report["config"]["headline_horizon"])
    worth = report["models"][NETWORK][h]["sharpe"]
    sign = "open" if worth["interval"] is None else standing(worth)
    chip = {"better": "above zero", "worse": "below zero", "open": "zero is possible"}[sign]
    tiles.append(
        {
            "title": "Network, net Sharpe ratio",
            "value": number(worth["value"], 2),
            "range": _range(worth, 2),
            "how": sign,
            "chip": chip,
        }
    )
    share = (report["reachable"] or {}).get(NETWORK, {}).get(h)
    if share is not None and share["value"] is not None:
        low, high = share["interval"] or (None, None)
        between = "" if low is None or high is None else f"{100 * low:.0f} to {100 * high:.0f} %"
        tiles.append(
            {
                "title": "Share of the reachable RankIC",
                "value": f"{100 * share['value']:.0f} %",
                "range": between,
                "how": "plain",
                "chip": "of the oracle",
            }
        )
    return tiles


def _forest(report: dict[str, Any], name: str, title: str, digits: int) -> dict[str, Any]:
    """Dots and whiskers on a common scale, positions in percent; the band is what random rankings give.

    The oracle is left out of the Sharpe ratios: it would squeeze everybody else into a corner.
    """
    rows = [row for row in report["headline"] if row[name]["value"] is not None]
    rows = [row for row in rows if not (row["model"] == ORACLE and name == "sharpe")]
    ends = [end for row in rows for end in (row[name]["interval"] or [row[name]["value"]])]
    low, high = float(min([0.0, *ends])), float(max([0.0, *ends]))
    margin = 0.04 * (high - low or 1.0)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100.0 * (value - low) / float(high - low), 2)

    lines = []
    band: tuple[float, float] | None = None
    for row in rows:
        figure = row[name]
        start, end = (place(end) for end in (figure["interval"] or [figure["value"]] * 2))
        if row["model"] == RANDOM:
            band = (start, round(end - start, 2))
        lines.append(
            {
                "model": row["model"],
                "label": row["label"],
                "text": number(figure["value"], digits),
                "range": _range(figure, digits),
                "start": start,
                "width": round(end - start, 2),
                "dot": place(figure["value"]),
            }
        )
    return {"title": title, "rows": lines, "zero": place(0.0), "band": band}


def _years(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a year: by model the row of the yearly table."""
    years: dict[int, dict[str, Any]] = {}
    for model, rows in report["yearly"].items():
        for row in rows:
            years.setdefault(row["year"], {})[model] = row
    return [{"year": year, "models": years[year]} for year in sorted(years)]


def _range(figure: dict[str, Any], digits: int) -> str:
    if figure["interval"] is None:
        return ""
    low, high = figure["interval"]
    return f"{number(low, digits)} to {number(high, digits)}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{number(100 * value, digits)} %"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["zipped"] = lambda columns: list(zip(*columns, strict=True))
    environment.filters |= {"number": number, "range": _range, "counted": counted, "percent": _percent}
    environment.tests["compared"] = lambda model: model != RANDOM  # random rankings have no folds and no years
    environment.tests["learned"] = lambda model: model in (NETWORK, *LEARNED, ORACLE)
    environment.globals["standing"] = standing
    return environment
