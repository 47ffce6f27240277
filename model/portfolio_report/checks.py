"""What must hold of a report before anybody believes it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from model.metrics.performance import sharpe
from model.metrics.summary import summarise
from model.portfolio.market import dense_market
from model.portfolio_report.daily import DailyFigures, averaged, common_rows, figures_by_path, rows_of
from model.portfolio_report.figures import series
from model.portfolio_report.inputs import ASSET, RANDOM, REPORT, folds_among, read_inputs
from model.store.checks import Check, CheckOutcome
from model.walk_forward_folds.settings import LIVE

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store

TOLERANCE = 1e-9


def check_folds_present(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every configured walk-forward fold is in the report, and each contributes days."""
    report = store.read_json(ASSET, REPORT)
    expected = {key for key in settings.folds.names() if key != LIVE}
    found = {str(fold["fold"]): int(fold["n_test"]) for fold in report["folds"]}
    absent = sorted(expected - found.keys())
    empty = sorted(name for name, days in found.items() if days == 0)
    problems = [f"{', '.join(absent)} missing"] if absent else []
    problems += [f"{', '.join(empty)} without test days"] if empty else []
    return CheckOutcome(
        passed=not problems,
        summary=f"{len(found)} of {len(expected)} folds. " + ("; ".join(problems) or "All are there."),
        metadata={"folds": len(found), "absent": absent},
    )


def check_figures_recomputed(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """RankIC and both Sharpe ratios, computed again from the stored predictions, are those of the report."""
    report = store.read_json(ASSET, REPORT)
    inputs = read_inputs(store, folds_among(store.require(ASSET).inputs))
    market = (
        None
        if inputs.market is None
        else dense_market(inputs.market, inputs.test_dates, settings.portfolio.execution.suspended)
    )
    daily = averaged(figures_by_path(inputs, common_rows(inputs), market, settings.portfolio))
    differing = [
        f"{model} {h} d {name}: {report['models'][model][str(h)][name]['value']} in the report, {value} now"
        for model in daily.models
        for h in daily.horizons
        for name, value in _again(daily, model, h, settings.portfolio.periods_per_year).items()
        if not _same(report["models"][model][str(h)][name]["value"], value)
    ]
    compared = 3 * len(daily.models) * len(daily.horizons)
    return CheckOutcome(
        passed=not differing,
        summary=f"{compared - len(differing)} of {compared} figures agree. " + "; ".join(differing[:3]),
        metadata={"compared": compared, "differing": len(differing)},
    )


def check_self_tests(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Perfect foresight scores RankIC 1 and a positive Sharpe ratio, its inverse the opposite, luck nothing."""
    tests: dict[str, Any] = store.read_json(ASSET, REPORT)["self_tests"]
    failed = [name for name in ("perfect", "inverted", RANDOM) if not tests[name]["passed"]]
    return CheckOutcome(
        passed=not failed,
        summary=f"Self-tests that failed: {', '.join(failed)}." if failed else "The evaluator passed its self-tests.",
        metadata={
            f"{name}_rank_ic": tests[name]["rank_ic"]["value"]
            for name in ("perfect", "inverted", RANDOM)
            if tests[name]["rank_ic"]["value"] is not None
        },
    )


def check_gate(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """The network's RankIC is above LightGBM's with the whole paired interval; else a warning, for it is a finding."""
    gate = store.read_json(ASSET, REPORT)["gate"]
    if gate is None:
        return CheckOutcome(passed=True, summary="No LightGBM to compare with.")
    difference = gate["difference"]
    low, high = difference["interval"] or (None, None)
    figures = {"difference": difference["value"], "low": low, "high": high}
    return CheckOutcome(
        passed=gate["passed"],
        summary=gate["sentence"],
        severity="warn",
        metadata={name: value for name, value in figures.items() if value is not None} | {"days": difference["n"]},
    )


def _again(daily: DailyFigures, model: str, horizon: int, periods: int) -> dict[str, float | None]:
    rows = rows_of(daily, model, horizon)
    return {
        "rank_ic": summarise(series(rows, "rank_ic"), horizon).mean,
        "sharpe": sharpe(series(rows, "net"), periods),
        "sharpe_gross": sharpe(series(rows, "gross"), periods),
    }


def _same(stored: float | None, now: float | None) -> bool:
    if stored is None or now is None:
        return stored is now
    return bool(np.isclose(stored, now, rtol=TOLERANCE, atol=TOLERANCE))


CHECKS: tuple[Check, ...] = (
    Check("folds_present", "Every walk-forward fold is in the report.", check_folds_present),
    Check("figures_recomputed", "The figures follow from the stored predictions.", check_figures_recomputed),
    Check("beats_baseline", "The network beats LightGBM, with a paired interval.", check_gate, blocking=False),
    Check("self_tests", "Known scores get the figures they must.", check_self_tests),
)
