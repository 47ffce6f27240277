"""The page: one self-contained HTML file that opens offline.

Layout and words are in ``report_template.html``; here the figures of ``report.json`` become text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from model.pictures import html_style
from model.portfolio_report import plots, style
from model.portfolio_report.compare import Evaluation
from model.portfolio_report.headline import ORDER, counted, number, standing, verdict_sentence, verdicts
from model.portfolio_report.inputs import LEARNED, MODEL_LABELS, ORACLE, RANDOM

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
    drawn = {name: [Markup(html_style.svg(*sizes[name], style.LIGHT)) for sizes in (wide, narrow)] for name in wide}
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
            forests=_forests(report),
            models=[model for model in ORDER if model in report["models"]],
            labels=MODEL_LABELS,
            subject=report["subject"],
            portfolio=report["coverage"]["portfolio_days"] > 0,
            figures=drawn,
            years=_years(report),
            months=_months(report),
            code_version=code_version,
            style_sheet=Markup(html_style.style_sheet(style.LIGHT, style.DARK)),
        )
    )
    return page, pictures


def _figures(evaluation: Evaluation, curves: Curves, size: plots.Size) -> dict[str, tuple[Figure, str]]:
    """Figure and spoken title by file name; ``size`` is that of the figures that go across the page."""
    report, daily = evaluation.report, evaluation.daily
    h = int(report["config"]["headline_horizon"])
    half = plots.HALF if size == plots.WIDE else size
    figures = {
        "rank_ic": (plots.rolling_rank_ic(daily, h, size), "Rolling RankIC by model"),
        "deciles": (plots.deciles(report, half), "Mean return by prediction decile"),
    }
    if report["coverage"]["portfolio_days"]:
        figures |= {
            "cumulative_net_return": (plots.cumulative_net(daily, h, size), "Cumulative return by model"),
            "drawdown": (plots.drawdown(daily, h, half), "Drawdown by model"),
            "ic_decay": (plots.ic_decay(report["signal"], size), "RankIC by trading days ahead"),
        }
    if all("stretches" in fold for fold in report["folds"]):
        figures["folds"] = (plots.fold_timeline(report["folds"], size), "Train, validation and test days of each fold")
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
    own = report["models"][report["subject"]][h]
    who = "Network" if tiles else "Submitted"
    shown = [("sharpe", "net Sharpe ratio", 2)] if own["sharpe"]["n"] else []
    for name, title, digits in shown if tiles else [("rank_ic", "RankIC", 4), *shown]:
        sign = standing(own[name])
        tiles.append(
            {
                "title": f"{who}, {title}",
                "value": number(own[name]["value"], digits),
                "range": _range(own[name], digits),
                "how": sign,
                "chip": {"better": "above zero", "worse": "below zero", "open": "zero is possible"}[sign],
            }
        )
    share = (report["reachable"] or {}).get(report["subject"], {}).get(h)
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


def _forests(report: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = [("rank_ic", "RankIC", 4)]
    if report["coverage"]["portfolio_days"]:
        kinds.append(("sharpe", "Net Sharpe ratio", 2))
    return [_forest(report, *kind) for kind in kinds]


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


def _months(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a year: the subject's net return by month (1 … 12), its sum, and the year's gross return."""
    years: dict[int, dict[str, Any]] = {}
    for row in report["monthly"][report["subject"]]:
        if row["n"]:
            year = years.setdefault(row["year"], {"year": row["year"], "months": {}, "gross": 0.0, "net": 0.0})
            year["months"][row["month"]] = row["return_net"]
            year["gross"] += row["return_gross"]
            year["net"] += row["return_net"]
    return list(years.values())


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
    environment.tests["learned"] = lambda model: model in (*plots.SUBJECTS, *LEARNED, ORACLE)
    environment.globals["standing"] = standing
    return environment
