"""What the report is made of: every walk-forward fold's stored predictions and the market of its test days.

The fold ``live`` predicts days whose outcome nobody knows yet; it has no part in any figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from model.errors import DataError
from model.store.store import Store
from model.validation_predictions.artefact import MARKET_COLUMNS
from model.walk_forward_folds.combinatorial import path_of_periods
from model.walk_forward_folds.periods import period_bounds
from model.walk_forward_folds.settings import COMBINATORIAL_PREFIX, LIVE

ASSET = "portfolio_report"
REPORT = "report.json"
PREDICTIONS = "validation_predictions"
NETWORK = "atft_gat_fan"
SUBMITTED = "submitted"
"""Predictions of a file that somebody handed in (``gogooku evaluate``)."""
LEARNED = ("lightgbm", "lightgbm_rank", "ridge")
BASELINES = (*LEARNED, "momentum_120d", "reversal_1d")
ORACLE = "oracle"
RANDOM = "random"
BESIDE = "lightgbm"
"""Shown in every detail beside the subject."""
STORED_RANDOM = "stored_random"
"""The baseline stage's own random scores, used by a self-test only."""

MODELS = (NETWORK, SUBMITTED, *BASELINES, ORACLE)
MODEL_LABELS = {
    NETWORK: "ATFT-GAT-FAN",
    SUBMITTED: "Submitted predictions",
    "lightgbm": "LightGBM",
    "lightgbm_rank": "LightGBM, ranking",
    "ridge": "Ridge",
    "momentum_120d": "Momentum, 120 days",
    "reversal_1d": "One-day reversal",
    RANDOM: "Random ranking",
    ORACLE: "Reachable oracle",
}


def folds_among(inputs: Mapping[str, str]) -> tuple[str, ...]:
    """The walk-forward folds among an artefact's inputs (``validation_predictions/wf_2016h1``), without ``live``."""
    names = [label.removeprefix(f"{PREDICTIONS}/") for label in inputs if label.startswith(f"{PREDICTIONS}/")]
    return tuple(sorted(name for name in names if name != LIVE))


@dataclass(frozen=True)
class Inputs:
    """Everything the figures are computed from."""

    predictions: pl.DataFrame
    """Date, Code, horizon, path, fold, label and one column a model (null where it gave none), out of fold, unique.

    Walk-forward folds make one path, 0; combinatorial splits predict every day once on each of several paths."""
    market: pl.DataFrame | None
    """``MARKET_COLUMNS`` of the test days and some days after each fold, unique by (Date, Code), sorted; None where
    nothing but predictions and labels is known, so that there are no portfolios."""
    test_dates: tuple[date, ...]
    """Test days of all folds, in order."""
    folds: tuple[dict[str, Any], ...]
    """``fold.json`` of each fold, in order of time (of submitted folds: fold, test_start, test_end and n_test)."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have predictions, in the order in which they are shown."""
        return tuple(name for name in MODELS if name in self.predictions.columns)

    @property
    def subject(self) -> str:
        """The model that the report is about; the others stand beside it."""
        return SUBMITTED if SUBMITTED in self.models else NETWORK

    @property
    def shown(self) -> tuple[str, ...]:
        """The models that are shown in every detail."""
        return tuple(model for model in (self.subject, BESIDE) if model in self.models)

    @property
    def paths(self) -> tuple[int, ...]:
        """The backtest paths."""
        return tuple(sorted(self.predictions["path"].unique().to_list()))

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons in trading days, increasing."""
        return tuple(sorted(self.predictions["horizon"].unique().to_list()))


def read_inputs(store: Store, folds: Sequence[str]) -> Inputs:
    """Read the stored predictions of the folds.

    Raises:
        DataError: no fold, two folds that test the same day, or days without a market.
    """
    names = [name for name in folds if name != LIVE]
    if not names:
        raise DataError(
            "The portfolio report needs at least one walk-forward fold besides `live`, and there is none. Name at "
            "least one test period in folds.periods, then run `gogooku run` again."
        )
    documents = [store.read_json("walk_forward_folds", "fold.json", name) for name in names]
    documents.sort(key=lambda fold: str(fold["test_start"]))
    predictions = _on_paths([_fold_predictions(store, str(fold["fold"])) for fold in documents])
    predictions = predictions.sort("path", "horizon", "Date", "Code")
    _check_unique(predictions)
    # A model without a single prediction (no oracle for real data) is absent, not a reason to drop every row.
    given = [name for name in (*MODELS, STORED_RANDOM) if name in predictions.columns]
    predictions = predictions.drop([name for name in given if not predictions[name].count()])
    market = pl.concat(
        [
            store.read_table("validation_predictions", "market.parquet", str(f["fold"]), list(MARKET_COLUMNS))
            for f in documents
        ]
    )
    # The market has every listed stock; only those that anybody ranked can be held.
    market = market.filter(pl.col("Code").is_in(predictions["Code"].unique().implode()))
    market = market.unique(["Date", "Code"], keep="first", maintain_order=True).sort("Date", "Code")
    return Inputs(predictions, market, _test_dates(store, documents), tuple(documents))


def _fold_predictions(store: Store, fold: str) -> pl.DataFrame:
    columns = ["Date", "Code", "horizon", "prediction", "label", ORACLE]
    network = store.read_table("validation_predictions", "predictions.parquet", fold, columns)
    network = network.rename({"prediction": NETWORK}).with_columns(fold=pl.lit(fold))
    stored = store.read_table("baseline", "predictions.parquet", fold)
    for model in (*BASELINES, RANDOM):
        own = stored.filter(pl.col("model") == model)
        name = STORED_RANDOM if model == RANDOM else model
        own = own.select("Date", "Code", "horizon", pl.col("prediction").cast(pl.Float64).alias(name))
        network = network.join(own, on=["Date", "Code", "horizon"], how="left", maintain_order="left")
    figures = [NETWORK, *BASELINES, ORACLE, STORED_RANDOM]
    return network.select("Date", "Code", "horizon", "fold", pl.col(["label", *figures]).fill_nan(None))


def _on_paths(folds: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All predictions with the backtest path that they belong to."""
    whole = pl.concat(folds)
    splits = [name for name in whole["fold"].unique().to_list() if name.startswith(COMBINATORIAL_PREFIX)]
    if not splits:
        return whole.with_columns(path=pl.lit(0, pl.Int32))
    parts = []
    for (fold, period), path in path_of_periods(sorted(splits)).items():
        first, last = period_bounds(period)
        rows = whole.filter((pl.col("fold") == fold) & pl.col("Date").is_between(first, last))
        parts.append(rows.with_columns(path=pl.lit(path, pl.Int32)))
    return pl.concat(parts)


def _check_unique(predictions: pl.DataFrame) -> None:
    repeated = predictions.height - predictions.select("Date", "Code", "horizon", "path").n_unique()
    if repeated:
        raise DataError(
            f"validation_predictions: {repeated} rows (date, code, horizon) are predicted by more than one fold, so "
            "that they would count twice. Test periods must not overlap; check the section `folds`."
        )


def _test_dates(store: Store, documents: Sequence[dict[str, Any]]) -> tuple[date, ...]:
    days: set[date] = set()
    for fold in documents:
        dates = store.read_table("walk_forward_folds", "dates.parquet", str(fold["fold"]))
        days |= set(dates.filter(pl.col("role") == "test")["Date"].to_list())
    return tuple(sorted(days))
