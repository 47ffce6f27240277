"""The page: one self-contained HTML file that opens offline.

Layout and words are in ``report_template.html`` and its script in ``report_script.js``; here the figures of
``report.json`` become text and plots. The plotting library (Plotly, as installed) is inside the page, compressed: 2 MB
that the browser unpacks.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from model.pictures import html_style
from model.portfolio_report import interactive, interactive_tables, style
from model.portfolio_report.compare import Evaluation
from model.portfolio_report.headline import (
    ORDER,
    counted,
    gate_word,
    number,
    percent,
    standing,
    verdict_sentence,
    verdicts,
)
from model.portfolio_report.inputs import LEARNED, MODEL_LABELS, ORACLE, RANDOM

TEMPLATE = "report_template.html"
SCRIPT = "report_script.js"
CHIPS = {"better": "network ahead", "worse": "network behind", "open": "undecided"}
OWN_CHIPS = {"better": "above zero", "worse": "below zero", "open": "zero is possible"}
Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def render(evaluation: Evaluation, curves: Curves, code_version: str) -> str:
    """The page.

    Args:
        curves: the training history of each fold, records with ``epoch``, ``phase`` and ``val_rank_ic``.
    """
    report = evaluation.report
    document = plot_document(evaluation, curves)
    template = _environment().get_template(TEMPLATE)
    return template.render(
        report=report,
        config=report["config"],
        coverage=report["coverage"],
        horizon=report["config"]["headline_horizon"],
        percent=percent(report),
        verdict=verdict_sentence(report),
        gate=gate_word(report) if report["gate"] else "",
        tiles=_tiles(report),
        forests=_forests(report),
        models=[model for model in ORDER if model in report["models"]],
        labels=MODEL_LABELS,
        subject=report["subject"],
        portfolio=report["coverage"]["portfolio_days"] > 0,
        drawn=set(document["plots"]),
        years=_years(report),
        months=_months(report),
        code_version=code_version,
        style_sheet=Markup(html_style.style_sheet(style.LIGHT, style.DARK)),
        plots=Markup(_as_script(document)),
        script=Markup(Path(__file__).with_name(SCRIPT).read_text(encoding="utf-8")),
        library=Markup(_library()),
    )


def plot_document(evaluation: Evaluation, curves: Curves) -> dict[str, Any]:
    """The interactive plots by name, and the lists of days that they share."""
    report, daily = evaluation.report, evaluation.daily
    h, days = int(report["config"]["headline_horizon"]), interactive.Days()
    found: dict[str, interactive.Plot] = {}
    if report["coverage"]["portfolio_days"]:
        found |= {
            "cumulative": interactive.cumulative(daily, h, days),
            "drawdown": interactive.drawdown(daily, h, days),
            "costs": interactive.costs(daily, report["subject"], h),
            "ic_decay": interactive_tables.ic_decay(report),
            "yearly": interactive_tables.yearly(report),
        }
    found |= {
        "rank_ic": interactive.rank_ic(daily, h, days),
        "distribution": interactive.distribution(daily, h),
        "deciles": interactive_tables.deciles(report),
    }
    if report["exposures"]:
        found["size_and_market"] = interactive_tables.size_and_market(report)
        if report["exposures"][report["subject"]]["over_time"]:
            found["exposures_over_time"] = interactive_tables.exposures_over_time(report)
        if report["exposures"][report["subject"]]["sectors"]:
            found["sectors"] = interactive_tables.sectors(report)
    if all("stretches" in fold for fold in report["folds"]):
        found["folds"] = interactive_tables.fold_timeline(report)
    if _trained(curves):
        found["training"] = interactive_tables.training(curves)
    if report["ablation"]:
        found["ablation"] = interactive_tables.ablation(report)
    return {"days": days.lists, "plots": found}


def pictures(evaluation: Evaluation, curves: Curves) -> dict[str, bytes]:
    """The figures as PNG files by name, for where no page can be opened."""
    from model.portfolio_report import plots

    report, daily = evaluation.report, evaluation.daily
    h = int(report["config"]["headline_horizon"])
    drawn = {"rank_ic": plots.rolling_rank_ic(daily, h), "deciles": plots.deciles(report)}
    drawn["rank_ic_distribution"] = plots.distribution(daily, h)
    if report["coverage"]["portfolio_days"]:
        drawn |= {
            "cumulative_net_return": plots.cumulative_net(daily, h),
            "drawdown": plots.drawdown(daily, h),
            "turnover_and_costs": plots.costs(daily, report["subject"], h),
            "ic_decay": plots.ic_decay(report["signal"]),
        }
    if report["exposures"] and report["exposures"][report["subject"]]["sectors"]:
        drawn["sectors"] = plots.sectors(report)
    if report["exposures"] and report["exposures"][report["subject"]]["over_time"]:
        drawn["exposures_over_time"] = plots.exposures_over_time(report)
    if all("stretches" in fold for fold in report["folds"]):
        drawn["folds"] = plots.fold_timeline(report["folds"])
    if _trained(curves):
        drawn["training"] = plots.training_curves(curves)
    return {f"{name}.png": style.png(figure) for name, figure in drawn.items()}


def _trained(curves: Curves) -> bool:
    return any(record.get("val_rank_ic") is not None for history in curves.values() for record in history)


def _as_script(document: Mapping[str, Any]) -> str:
    """JSON that can stand inside a page: no ``<`` can end the element it stands in."""
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _library() -> str:
    """Plotly's own JavaScript as the installed package has it, compressed and as text."""
    code = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(code, 6, mtime=0)).decode()


def _tiles(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The comparison in a few numbers: the network against each baseline, then what it is worth."""
    tiles = [
        {
            "title": f"RankIC, network − {MODEL_LABELS[other]}",
            "value": number(gap["value"], 4),
            "range": _range(gap, 4),
            "how": how,
            "chip": _chip(gap, CHIPS[how]),
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
                "chip": _chip(own[name], OWN_CHIPS[sign]),
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


def _chip(figure: dict[str, Any], said: str) -> str:
    """What a figure's interval says, or that there is none."""
    if figure["value"] is None:
        return "no figure"
    return said if figure["interval"] else "too few days to tell"


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


def _money(value: float | None) -> str:
    """An amount of currency units in a readable size."""
    if value is None:
        return "–"
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if value >= size:
            return f"{value / size:,.3g} {name}"
    return f"{value:,.3g}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["zipped"] = lambda columns: list(zip(*columns, strict=True))
    environment.filters |= {"number": number, "range": _range, "counted": counted, "percent": _percent, "money": _money}
    environment.tests["compared"] = lambda model: model != RANDOM  # random rankings have no folds and no years
    environment.tests["learned"] = lambda model: model in (*interactive.SUBJECTS, *LEARNED, ORACLE)
    environment.globals["standing"] = standing
    return environment
