"""What the ablation claims of each part, and whether it holds: out of fold, paired, with intervals.

Figures are means over the test days of the daily RankIC at one horizon (over seeds, where there are several); a
difference or ratio is taken on the same days, and its interval resamples days in blocks, the same for both sides. Where
the days make too few blocks for an interval, a claim is not decided; nor where both sides are one network (a plain
concatenation that is the configured fusion), of which "not worse" says nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.ablation.markets import OWN, Market
from model.metrics.bootstrap import Blocks, Resampler

VERSION = 1
BLOCK_DAYS = 10
"""Mean length of a resampled block, in trading days; at least twice the horizon is used."""
DRAWS = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    """``first`` against ``second`` on one market."""

    market: Market
    first: str
    second: str
    text: str
    wanted: str
    kind: str
    """'ratio' of means or 'difference' of means."""
    holds: Callable[["Sides"], bool]
    gradient: bool = False
    """Whether the graph attention's gradient must not be smaller either."""


@dataclass(frozen=True)
class Sides:
    """The two means, and the interval of their difference or ratio."""

    first: float
    second: float
    low: float
    high: float


def _gain(market: Market, first: str, second: str, text: str) -> Claim:
    wanted = "a gain whose interval excludes 0"
    return Claim(market, first, second, text, wanted, "difference", lambda of: of.low > 0.0)


def _not_worse(market: Market, first: str, second: str, text: str) -> Claim:
    wanted = "not worse (the interval reaches 0 or more)"
    return Claim(market, first, second, text, wanted, "difference", lambda of: of.high >= 0.0)


def _bypass(market: Market, first: str) -> Claim:
    return Claim(
        market,
        first,
        "plain concatenation",
        "residual bypass against plain concatenation",
        "not worse (the interval reaches 0 or more), and the graph attention's gradient no smaller",
        "difference",
        lambda of: of.high >= 0.0,
        gradient=True,
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "whole",
        "network",
        "oracle",
        "whole network against the reachable oracle",
        "at least 0.85 of its RankIC",
        "ratio",
        lambda of: of.first >= 0.85 * of.second > 0.0,
    ),
    _not_worse("tabular", "network", "lightgbm", "tabular part alone: network against LightGBM"),
    Claim(
        "lead_lag",
        "network",
        "without graph",
        "lead-lag part: with the graph against without",
        "at least 1.5 times its RankIC, and the interval of the difference above 0",
        "difference",
        lambda of: of.low > 0.0 and of.first >= 1.5 * of.second,
    ),
    Claim(
        "lead_lag",
        "shuffled edges",
        "without graph",
        "lead-lag part: shuffled edges against no graph",
        "no gain (the interval reaches down to 0)",
        "difference",
        lambda of: of.low <= 0.0,
    ),
    _gain("regime", "FAN", "neither", "regime and frequency part: FAN against neither"),
    _gain("regime", "SAN", "neither", "regime and frequency part: SAN against neither"),
    _bypass("lead_lag", "network"),
    _not_worse("own", "network", "lightgbm", "network against LightGBM"),
    _gain("own", "with graph", "without graph", "with the graph against without"),
    _gain("own", "FAN", "neither", "FAN against no adaptive normalisation"),
    _gain("own", "SAN", "neither", "SAN against no adaptive normalisation"),
    _bypass("own", "with graph"),
)


def document(
    daily: pl.DataFrame, trainings: pl.DataFrame, seed: int, horizon: int, confidence: float = 0.95
) -> dict[str, Any]:
    """The figures of every model and every claim.

    Args:
        daily, trainings: of :func:`model.ablation.experiment.run`.
        seed: of the bootstrap.
        horizon: in trading days, that of the claims.

    Returns:
        ``version``, ``figures`` (market, model, horizon, value, n, interval, seeds) and ``claims`` (market, first,
        second, text, wanted, kind, value, n, interval, holds; where the attention's gradient counts, ``gradient`` with
        the mean norm of both sides, their ratio and the trainings of each, ``n``).
    """
    resampler = Resampler(DRAWS, seed, confidence)
    means = daily.group_by("market", "model", "horizon", "Date", maintain_order=True).agg(
        pl.col("rank_ic").mean(), pl.col("seed").n_unique().alias("seeds")
    )
    figures = [
        _figure(rows.sort("Date"), resampler, int(key[2])) | dict(zip(("market", "model", "horizon"), key, strict=True))
        for key, rows in means.group_by("market", "model", "horizon", maintain_order=True)
    ]
    markets = set(daily["market"].unique())
    claims = [
        _with_gradient(claim, _judged(claim, means, horizon, resampler), trainings)
        for claim in CLAIMS
        if claim.market in markets
    ]
    return {"version": VERSION, "horizon": horizon, "confidence": confidence, "figures": figures, "claims": claims}


def summary(of: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the form in which a report shows it: what each claim compares, and the difference."""
    found = {(figure["market"], figure["model"], figure["horizon"]): figure for figure in of["figures"]}
    rows = []
    for claim in of["claims"]:
        figure = found.get((claim["market"], claim["second"], of["horizon"]))
        if figure is not None and claim["difference"] is not None:
            verdict = {True: "holds", False: "does not hold", None: "cannot be said"}[claim["holds"]]
            rows.append(
                {
                    "name": f"{claim['text']} ({verdict})",
                    "rank_ic": {name: figure[name] for name in ("value", "n", "interval")},
                    "difference": claim["difference"],
                    "seeds": figure["seeds"],
                }
            )
    where = "These data" if {claim["market"] for claim in of["claims"]} == {OWN} else "Simulated markets"
    note = (
        f"{where} (gogooku ablate), out of fold, at an equal budget: the RankIC of the second of the two that each "
        "line compares, and what the first has more."
    )
    return {"horizon": of["horizon"], "rows": rows, "note": note}


def _figure(rows: pl.DataFrame, resampler: Resampler, horizon: int) -> dict[str, Any]:
    values = _values(rows)
    interval = resampler.interval(values, Blocks.of_labels(horizon, BLOCK_DAYS))
    known = values[~np.isnan(values)]
    return {
        "value": float(known.mean()) if len(known) else None,
        "n": len(known),
        "interval": list(interval) if interval else None,
        "seeds": int(rows["seeds"].max() or 0),  # type: ignore[arg-type]
    }


def _judged(claim: Claim, means: pl.DataFrame, horizon: int, resampler: Resampler) -> dict[str, Any]:
    chosen = means.filter((pl.col("market") == claim.market) & (pl.col("horizon") == horizon))
    sides = [chosen.filter(pl.col("model") == name).select("Date", "rank_ic") for name in (claim.first, claim.second)]
    both = sides[0].join(sides[1], on="Date", suffix="_2").sort("Date")
    first, second = _values(both), _values(both, "rank_ic_2")
    there = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[there], second[there]
    known: dict[str, Any] = {"value": None, "interval": None, "ratio": None, "holds": None, "difference": None}
    if len(first) > 1 and not np.array_equal(first, second):
        blocks = Blocks.of_labels(horizon, BLOCK_DAYS)
        apart, gap = float(first.mean() - second.mean()), resampler.paired_interval(first, second, blocks)
        ratio = float(first.mean() / second.mean()) if second.mean() > 0.0 else None  # times nothing says nothing
        value: float | None = apart
        interval = gap
        if claim.kind == "ratio":
            value, interval = ratio, resampler.paired_interval(first, second, blocks, combine=np.divide)
        if value is not None:
            known = {
                "value": value,
                "interval": list(interval) if interval else None,
                "ratio": ratio,
                "holds": None,  # not without an interval
                "difference": {"value": apart, "n": len(first), "interval": list(gap) if gap else None},
            }
        if value is not None and interval is not None:
            known["holds"] = bool(claim.holds(Sides(float(first.mean()), float(second.mean()), *interval)))
    names = ("market", "first", "second", "text", "wanted", "kind")
    return {name: getattr(claim, name) for name in names} | {"n": len(first)} | known


def _with_gradient(claim: Claim, judged: dict[str, Any], trainings: pl.DataFrame) -> dict[str, Any]:
    """The claim with both sides' mean gradient norm, where that is part of it; it must not be the smaller one."""
    if not claim.gradient:
        return judged
    chosen = trainings.filter(pl.col("market") == claim.market)
    norms = [chosen.filter(pl.col("model") == name)["attention"].drop_nulls() for name in (claim.first, claim.second)]
    first, second = (norm.mean() for norm in norms)
    gradient = {"first": first, "second": second, "ratio": None, "n": min(len(norm) for norm in norms)}
    if not isinstance(first, float) or not isinstance(second, float):
        return judged | {"holds": None, "gradient": gradient}
    ratio = first / second if second > 0.0 else None
    return judged | {"holds": judged["holds"] and first >= second, "gradient": gradient | {"ratio": ratio}}


def _values(rows: pl.DataFrame, name: str = "rank_ic") -> Floats:
    return rows[name].fill_null(np.nan).to_numpy()
