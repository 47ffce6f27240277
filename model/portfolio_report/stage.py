"""Materialise the report: all folds' stored predictions, one document, one page, some pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.portfolio_report import ablation, trials
from model.portfolio_report.compare import Evaluation, evaluate
from model.portfolio_report.daily import KEY
from model.portfolio_report.headline import COLUMNS
from model.portfolio_report.inputs import ASSET, NETWORK, REPORT, folds_among, read_inputs
from model.portfolio_report.page import pictures, render
from model.portfolio_report.safe_report import final_report
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store

PAGE = "report.html"
DAILY = "daily.parquet"


def materialise(run: StageRun) -> Manifest:
    """Evaluate every fold that ``run.identity`` names among its inputs, and publish the report.

    Raises:
        StoreError: a fold's predictions are not materialised or were altered.
        DataError: there is no fold, or nothing to compare.
        SettingsError: the headline horizon is not predicted.
    """
    folds = folds_among(run.identity.inputs)
    settings = run.settings
    evaluation = evaluate(
        read_inputs(run.store, folds),
        settings.portfolio,
        entry=settings.labels.entry,
        seed=settings.seed,
        generated_from=run.identity.inputs,
        configurations=trials.recorded(run.store),
        ablation=ablation.read(run.store),
        progress=run.progress,
    )
    evaluation.report["final_report"] = final_report(run.store, folds, evaluation.report)
    run.progress(1, 1, "drawing the page")
    curves = _curves(run.store, folds)
    page = render(evaluation, curves, run.identity.code_version)
    with run.writer(ASSET) as w:
        w.json(REPORT, evaluation.report)
        w.table(DAILY, evaluation.daily.table, key=KEY)
        w.bytes(PAGE, page.encode(), hashed=False)
        for name, data in pictures(evaluation, curves).items():
            w.bytes(name, data, hashed=False)
        w.extra |= _extra(evaluation)
    return w.manifest


def _curves(store: Store, folds: Sequence[str]) -> dict[str, Sequence[Mapping[str, Any]]]:
    return {fold: store.read_json("trained_model", "metrics.json", fold)["history"] for fold in folds}


def _extra(evaluation: Evaluation) -> dict[str, Any]:
    """The network's headline figures, for the history that Dagster plots."""
    row = next(row for row in evaluation.report["headline"] if row["model"] == NETWORK)
    return {name: row[name]["value"] for name in COLUMNS if row[name]["value"] is not None} | {"days": row["n_days"]}
