"""The few figures that a reader needs first, as rows, as a sentence and as a plain-text table."""

import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from model.metrics.bootstrap import FEWEST_BLOCKS
from model.portfolio_report.inputs import BASELINES, BESIDE, LEARNED, MODEL_LABELS, NETWORK, ORACLE, RANDOM, SUBMITTED

ORDER = (NETWORK, SUBMITTED, *BASELINES, RANDOM, ORACLE)
COLUMNS = ("rank_ic", "sharpe", "sharpe_gross", "turnover")
Standing = Literal["better", "worse", "open"]


def headline(report: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a model at the headline horizon: model, label, horizon, n_days and the ``COLUMNS`` as figures."""
    horizon = int(report["config"]["headline_horizon"])
    rows = []
    for model in ORDER:
        if model in report["models"]:
            found = report["models"][model][str(horizon)]
            figures = {name: found[name] for name in COLUMNS}
            days = {"n_days": found["rank_ic"]["n"], "n_blocks": found.get("blocks")}
            rows.append({"model": model, "label": MODEL_LABELS[model], "horizon": horizon, **days, **figures})
    return rows


def standing(difference: dict[str, Any]) -> Standing:
    """What the interval of a paired difference allows to be said."""
    interval = difference["interval"]
    if interval is None or interval[0] <= 0.0 <= interval[1]:
        return "open"
    return "better" if interval[0] > 0.0 else "worse"


def untold(report: dict[str, Any], rank_ic: dict[str, Any]) -> str | None:
    """Why a RankIC (or difference of two) at the headline horizon allows no verdict; None where it has an interval."""
    if rank_ic["interval"] is not None:
        return None
    config, n = report["config"], rank_ic["n"]
    horizon = int(config["headline_horizon"])
    if n == 0:
        if report["models"][RANDOM][str(horizon)]["rank_ic"]["n"] == 0:
            return f"no day has {config['min_names']} names with a prediction and an outcome"
        return "predictions are constant: all names of a day have the same"
    own = report["models"][report["subject"]][str(horizon)]
    days = own["rank_ic"]["n"] / own["blocks"]
    blocks = f"{n / days:.1f} blocks of {counted(round(days), 'day')}"
    return f"{counted(n, 'day')} make{'s' * (n == 1)} {blocks}, and an interval needs {FEWEST_BLOCKS}"


def verdicts(report: dict[str, Any]) -> list[tuple[str, Standing, dict[str, Any]]]:
    """(baseline, standing of the network against it, difference of RankIC) at the headline horizon."""
    horizon = str(report["config"]["headline_horizon"])
    return [
        (other, standing(found[horizon]["rank_ic"]), found[horizon]["rank_ic"])
        for other in BASELINES
        if (found := report["differences"].get(other)) is not None
    ]


def gate(report: dict[str, Any]) -> dict[str, Any] | None:
    """Whether the network earns its place: RankIC above LightGBM's, with a paired interval above 0.

    None where the report is not about the network, or has no LightGBM.
    """
    found = report["differences"].get(BESIDE) if report["subject"] == NETWORK else None
    if found is None:
        return None
    horizon = int(report["config"]["headline_horizon"])
    difference = found[str(horizon)]["rank_ic"]
    how, why = standing(difference), untold(report, difference)
    said = {
        "better": "beats",
        "worse": "falls behind",
        "open": "is not shown to beat",
    }
    gap = f"RankIC {with_interval(difference, 4)} apart on the same {counted(difference['n'], 'day')} and stocks"
    where = f"{MODEL_LABELS[BESIDE]} at {counted(horizon, 'day')}"
    return {
        "against": BESIDE,
        "horizon": horizon,
        "difference": difference,
        "passed": how == "better",
        "sentence": f"It cannot be told whether the network beats {where}: {why}."
        if why
        else f"The network {said[how]} {where}: {gap}.",
    }


def verdict_sentence(report: dict[str, Any]) -> str:
    """Whether the network ranks better than the learned baselines, in one sentence without figures.

    Submitted predictions have no baseline beside them: the sentence then says what their own interval allows.
    """
    own = report["models"][report["subject"]][str(report["config"]["headline_horizon"])]["rank_ic"]
    why = untold(report, own)
    who = "The submitted predictions have" if report["subject"] == SUBMITTED else "The network has"
    if why and own["value"] is None:
        return f"{who} no RankIC: {why}."
    if why:
        return f"Too few days to tell: {why}."
    if report["subject"] == SUBMITTED:
        return f"The submitted predictions {_ALONE[standing(own)]}."
    found = [(other, how, gap) for other, how, gap in verdicts(report) if other in LEARNED]
    names: dict[str, list[str]] = {}
    for other, how, gap in found:
        why = untold(report, gap)
        names.setdefault(f"cannot be held against {{}} ({why})" if why else _BESIDE[how], []).append(
            MODEL_LABELS[other]
        )
    order = [*_BESIDE.values(), *(phrase for phrase in names if phrase not in _BESIDE.values())]
    parts = [phrase.format(_listed(names[phrase], phrase)) for phrase in order if phrase in names]
    return f"The network {' and '.join(parts)}." if parts else "There is no learned baseline to compare with."


_BESIDE = {
    "better": "beats {}",
    "worse": "falls behind {}",
    "open": "cannot be told apart from {}",
}
_ALONE = {
    "better": "rank better than chance",
    "worse": "rank worse than chance",
    "open": "cannot be told apart from chance",
}


def headline_text(report: dict[str, Any]) -> str:
    """The headline as an aligned plain-text table with the verdict under it."""
    rows = report["headline"]
    share = f"[{percent(report)} %]"
    header = ("model", "horizon", f"RankIC {share}", "days", f"net Sharpe {share}", "gross", "turnover")
    table = [header]
    table += [
        (
            row["label"],
            f"{row['horizon']} d",
            with_interval(row["rank_ic"], 4),
            str(row["n_days"]),
            with_interval(row["sharpe"], 2),
            number(row["sharpe_gross"]["value"], 2),
            number(row["turnover"]["value"], 2, signed=False),
        )
        for row in rows
    ]
    lines = _aligned(table)
    lines += ["", verdict_sentence(report)]
    gaps = [(f"  network - {MODEL_LABELS[other]}", with_interval(gap, 4)) for other, _, gap in verdicts(report)]
    if gaps:
        lines[-1] += " Differences of RankIC on the same days and stocks:"
        lines += _aligned(gaps)
    if report["gate"]:
        lines.append(f"{gate_word(report).capitalize()}: {report['gate']['sentence']}")
    config = report["config"]
    origin = "Out of fold" if report["subject"] != SUBMITTED else "As submitted"
    lines.append(
        f"{origin}, {counted(len(report['folds']), 'fold')}, {costs_in_words(config)}, "
        f"entry {config['entry']}; random: mean and band of {config['random_draws']} rankings."
    )
    if config["caveat"]:
        lines += textwrap.wrap(f"Note: {config['caveat']}", width=110)
    return "\n".join(lines)


def gate_word(report: dict[str, Any]) -> str:
    """The gate's outcome in two or three words."""
    found = report["gate"]
    if found["difference"]["interval"] is None:
        return "gate undecided"
    return "gate passed" if found["passed"] else "gate not passed"


def costs_in_words(config: dict[str, Any]) -> str:
    """What is charged: the rate of each side, and impact and stock loan where they are."""
    costs = config["costs"]
    commission = config["cost_bps_per_side"] if costs["commission_bps"] is None else costs["commission_bps"]
    parts = [f"{commission + costs['half_spread_bps']:g} bps a side"]
    if costs["half_spread_bps"]:
        parts[0] += f" (commission {commission:g}, half-spread {costs['half_spread_bps']:g})"
    if costs["impact_coefficient"]:
        parts.append(f"market impact ({costs['impact_coefficient']:g} x volatility x root of participation)")
    if costs["borrow_bps_per_year"]:
        parts.append(f"stock loan {costs['borrow_bps_per_year']:g} bps a year")
    return ", ".join(parts)


def percent(report: dict[str, Any]) -> str:
    """The share of the resamples inside an interval, in percent."""
    return f"{100.0 * float(report['config']['confidence']):.10g}"


def number(value: float | None, digits: int, *, signed: bool = True) -> str:
    """A figure as text; an absent one is a dash."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "−")


def counted(count: int, noun: str) -> str:
    """A count with its noun, such as "1 fold" or "4 folds"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def with_interval(figure: dict[str, Any], digits: int) -> str:
    """A figure and its interval as text; a dash for an interval that the days do not give."""
    if figure["interval"] is None:
        return number(figure["value"], digits) + ("" if figure["value"] is None else " [–]")
    low, high = figure["interval"]
    return f"{number(figure['value'], digits)} [{number(low, digits)}, {number(high, digits)}]"


def _listed(names: list[str], phrase: str) -> str:
    return (" or " if phrase.startswith("cannot") else " and ").join(names)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
