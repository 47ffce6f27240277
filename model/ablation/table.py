"""The ablation as text for a terminal."""

from collections.abc import Mapping
from typing import Any


def text(document: Mapping[str, Any]) -> str:
    """Every model's RankIC, then every claim with its verdict."""
    horizon = document["horizon"]
    figures = [figure for figure in document["figures"] if figure["horizon"] == horizon]
    oracle = {figure["market"]: figure["value"] for figure in figures if figure["model"] == "oracle"}
    share = f"{'of the oracle':>15}" if oracle else ""
    lines = [f"{'market':<10}{'model':<22}{'RankIC':>9}{'interval':>22}{'days':>7}{share}"]
    for figure in sorted(figures, key=lambda each: (each["market"], -(each["value"] or 0.0))):
        best = oracle.get(figure["market"])
        share = f"{figure['value'] / best:.0%}" if best and figure["value"] is not None else ""
        lines.append(
            f"{figure['market']:<10}{figure['model']:<22}{_number(figure['value']):>9}{_interval(figure['interval']):>22}"
            f"{figure['n']:>7}{share:>15}".rstrip()
        )
    lines += ["", f"Claims at horizon {horizon}, on the same days, {document['confidence']:.0%} intervals:"]
    for claim in document["claims"]:
        verdict = {True: "holds", False: "does NOT hold", None: "cannot be said"}[claim["holds"]]
        value = (
            f"{claim['value']:.2f}"
            if claim["kind"] == "ratio" and claim["value"] is not None
            else _number(claim["value"])
        )
        ratio = f", ratio {claim['ratio']:.2f}" if claim["kind"] != "ratio" and claim["ratio"] is not None else ""
        lines.append(f"  {verdict:<15}{claim['text']}: {value} {_interval(claim['interval'])}{ratio}, n {claim['n']}")
        if "gradient" in claim and claim["gradient"]["ratio"] is not None:
            gradient = claim["gradient"]
            lines.append(
                f"{'':<17}gradient of the graph attention: {gradient['ratio']:.2f} times the other's, "
                f"{gradient['n']} trainings each"
            )
        lines.append(f"{'':<17}wanted: {claim['wanted']}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _interval(bounds: list[float] | None) -> str:
    return "" if bounds is None else f"[{bounds[0]:+.4f}, {bounds[1]:+.4f}]"
