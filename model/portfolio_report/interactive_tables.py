"""The page's interactive plots of figures in the document: see ``interactive`` for what their texts mean."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from model.portfolio_report.inputs import MODEL_LABELS, NETWORK, ORACLE
from model.portfolio_report.interactive import SUBJECTS, Plot, Trace, colour, plot
from model.portfolio_report.style import ROLE_COLOURS

_DAY_MS = 86_400_000
Report = Mapping[str, Any]


def deciles(report: Report) -> Plot:
    """Mean label by prediction decile with its interval; a button a horizon."""
    by_model: Mapping[str, Mapping[str, Any]] = report["decile_horizons"]
    first = str(report["config"]["headline_horizon"])
    horizons = [str(h) for h in report["config"]["horizons"]]
    traces: list[Trace] = []
    for h in horizons:
        for model, found in by_model.items():
            rows = found[h]
            traces.append(
                {
                    "type": "bar",
                    "name": MODEL_LABELS[model],
                    "x": [row["decile"] for row in rows],
                    "y": [row["value"] for row in rows],
                    "error_y": _bars(rows),
                    "marker": {"color": colour(model, 0.85)},
                }
            )
    each = len(by_model)
    choices = [
        {"label": f"{h} d", "traces": list(range(place * each, (place + 1) * each))} for place, h in enumerate(horizons)
    ]
    axis = {"title": {"text": "prediction decile (10: highest)"}, "dtick": 1}
    own = plot(traces, 280, xaxis=axis, yaxis={"tickformat": ".2%"})
    return own | {"choices": choices, "chosen": horizons.index(first)}


def ic_decay(report: Report) -> Plot:
    """RankIC with the return of each single day ahead, with its interval."""
    traces: list[Trace] = []
    for model, found in report["signal"].items():
        rows = [row for row in found["ic_decay"] or [] if row["value"] is not None]
        known = [row for row in rows if row["interval"]]
        x = [row["lag"] for row in known]
        if model in SUBJECTS and known:
            low, high = ([row["interval"][end] for row in known] for end in (0, 1))
            plain = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
            traces.append({**plain, "x": x, "y": low})
            traces.append({**plain, "x": x, "y": high, "fill": "tonexty", "fillcolor": colour(model, 0.16)})
        traces.append(_dotted(MODEL_LABELS[model], colour(model), [row["lag"] for row in rows], rows))
    return plot(traces, 280, xaxis={"title": {"text": "trading days ahead"}})


def yearly(report: Report) -> Plot:
    """Net return of each calendar year by model."""
    traces = [
        {
            "type": "bar",
            "name": MODEL_LABELS[model],
            "x": [str(row["year"]) for row in rows],
            "y": [row["return_net"] for row in rows],
            "customdata": [[row["sharpe"], row["rank_ic"]] for row in rows],
            "hovertemplate": "%{y:.1%}, Sharpe %{customdata[0]:.2f}, RankIC %{customdata[1]:.4f}",
            "marker": {"color": colour(model)},
            **({"visible": "legendonly"} if model == ORACLE else {}),
        }
        for model, rows in report["yearly"].items()
    ]
    return plot(traces, 260, barmode="group", xaxis={"type": "category"}, yaxis={"tickformat": ".0%"})


def sectors(report: Report) -> Plot:
    """Mean long, short and net weight of the subject's book by sector."""
    rows = report["exposures"][report["subject"]]["sectors"][::-1]
    names = [row["sector"] for row in rows]
    own = report["subject"]
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": side.capitalize(),
            "y": names,
            "x": [row[side] for row in rows],
            "marker": {"color": colour(own, opacity)},
        }
        for side, opacity in (("long", 0.85), ("short", 0.4))
    ]
    net = {"mode": "markers", "marker": {"color": "--ink", "size": 8, "symbol": "diamond"}}
    traces.append({"type": "scatter", "name": "Net", "y": names, "x": [row["net"] for row in rows], **net})
    axes = {"xaxis": {"tickformat": ".1%"}, "yaxis": {"automargin": True, "type": "category"}}
    return plot(traces, max(160, 24 * len(rows) + 40), barmode="relative", hovermode="closest", **axes)


def size_and_market(report: Report) -> Plot:
    """Market beta, tilt to large stocks and net weight of each book shown in detail."""
    traces: list[Trace] = []
    for model, book in report["exposures"].items():
        size = book["size"]["difference"]["value"] if book["size"] else None
        values = [book["market_beta"]["value"], size, book["net"]["value"]]
        names = ["Market beta", "Size, long − short", "Net weight"]
        intervals = [book["market_beta"], book["size"]["difference"] if book["size"] else None, book["net"]]
        traces.append(
            {
                "type": "bar",
                "name": MODEL_LABELS[model],
                "x": names,
                "y": values,
                "error_y": _bars([cell or {"value": None, "interval": None} for cell in intervals]),
                "marker": {"color": colour(model, 0.85)},
            }
        )
    return plot(traces, 240, barmode="group", yaxis={"tickformat": ".2f"})


def exposures_over_time(report: Report) -> Plot:
    """Market beta and size of each book shown in detail over the last 60 held days, month by month."""
    traces: list[Trace] = []
    for model, book in report["exposures"].items():
        days = [row["date"] for row in book["over_time"]]
        for key, name, dash in (("market_beta", "market beta", "solid"), ("size", "size, long − short", "dot")):
            values = [row[key] for row in book["over_time"]]
            if any(value is not None for value in values):
                stroke = {"color": colour(model), "width": 2.4 if model in SUBJECTS else 1.3, "dash": dash}
                own = {"type": "scatter", "mode": "lines+markers", "name": f"{MODEL_LABELS[model]}: {name}"}
                traces.append({**own, "x": days, "y": values, "line": stroke, "marker": {"size": 4}})
    return plot(traces, 260, yaxis={"tickformat": ".2f"})


def fold_timeline(report: Report) -> Plot:
    """What each fold learns from, chooses on and is tested on, with purge and embargo between."""
    traces: list[Trace] = []
    for role in ROLE_COLOURS:
        rows = [(fold["fold"], each) for fold in report["folds"] for each in fold["stretches"] if each["role"] == role]
        lengths = [_length(each["start"], each["end"]) for _, each in rows]
        texts = [f"{role}: {each['start']} to {each['end']}, {each['days']} trading days" for _, each in rows]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": role.capitalize(),
                "y": [fold for fold, _ in rows],
                "base": [str(each["start"]) for _, each in rows],
                "x": [length * _DAY_MS for length in lengths],
                "customdata": texts,
                "hovertemplate": "%{customdata}<extra></extra>",
                "marker": {"color": f"--role-{role}", "line": {"width": 0}},
            }
        )
    axes = {"xaxis": {"type": "date"}, "yaxis": {"autorange": "reversed", "type": "category", "automargin": True}}
    height = 60 + 30 * len(report["folds"])
    return plot([each for each in traces if each["y"]], height, barmode="overlay", hovermode="closest", **axes)


def training(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Plot:
    """RankIC on the validation days by epoch, a line a fold; a ring marks where a phase begins."""
    traces: list[Trace] = []
    shade = 1.0
    for fold, history in curves.items():
        rows = [record for record in history if record.get("val_rank_ic") is not None]
        begins = [n == 0 or row["phase"] != rows[n - 1]["phase"] for n, row in enumerate(rows)]
        own = colour(NETWORK, round(shade, 2))
        trace = _dotted(fold, own, [row["epoch"] for row in rows], [{"value": row["val_rank_ic"]} for row in rows])
        trace["marker"] |= {"size": [8 if begin else 3 for begin in begins]}
        texts = {"customdata": [row["phase"] for row in rows], "hovertemplate": "%{y:.4f} (%{customdata})"}
        traces.append(trace | texts)
        shade = max(shade * 0.8, 0.3)
    return plot(traces, 260, xaxis={"title": {"text": "epoch"}})


def ablation(report: Report) -> Plot:
    """What the network loses without each of its parts, with intervals."""
    rows = report["ablation"]["rows"][::-1]
    figures = [row["difference"] for row in rows]
    values = [figure["value"] for figure in figures]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "RankIC lost",
        "x": values,
        "y": [row["name"] for row in rows],
        "error_x": _bars(figures),
        "marker": {"color": colour(NETWORK), "size": 9},
    }
    axes = {"yaxis": {"automargin": True, "type": "category"}, "xaxis": {"zeroline": True}}
    return plot([trace], max(140, 34 * len(rows) + 30), hovermode="closest", showlegend=False, **axes)


def _bars(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Error bars from intervals; none where a row has none."""
    up, down = [], []
    for row in rows:
        low, high = row["interval"] or (row["value"], row["value"])
        up.append(None if row["value"] is None else high - row["value"])
        down.append(None if row["value"] is None else row["value"] - low)
    stroke = {"color": "--muted", "thickness": 1.2, "width": 3}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **stroke}


def _dotted(name: str, tone: str, x: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": [row["value"] for row in rows],
        "line": {"color": tone, "width": 2},
        "marker": {"color": tone, "size": 5},
    }


def _length(start: str | date, end: str | date) -> int:
    """Calendar days from the first to the last, both counted."""
    return (date.fromisoformat(str(end)) - date.fromisoformat(str(start)) + timedelta(1)).days
