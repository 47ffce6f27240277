"""The stages: what each reads, how it is partitioned, which settings and which code can change it."""

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Literal

from threadpoolctl import threadpool_limits

from model.lineage.code_version import code_version
from model.settings.root import Settings
from model.store.checks import Check
from model.store.documents import ABLATION, TRIALS
from model.store.manifest import Manifest
from model.store.pages import Page
from model.store.pictures import Picture
from model.store.stage import StageRun

Kind = Literal["day", "fold", "none"]


@dataclass(frozen=True)
class Stage:
    """One asset, as far as its dependencies go."""

    name: str
    partitions: Kind
    upstream: tuple[str, ...]
    sections: tuple[str, ...]
    """Settings sections, or single keys of one, that can change the result."""
    description: str
    group: str
    kinds: tuple[str, ...]
    feedback: tuple[str, ...] = ()
    """Assets that it reads besides ``upstream`` where ``baseline.network_feature`` is on."""
    documents: tuple[str, ...] = ()
    """Documents beside the artefacts (model.store.documents) that it reads where they exist."""

    @property
    def module(self) -> str:
        """The module that computes it."""
        return f"model.{self.name}.stage"

    def reads(self, settings: Settings) -> tuple[str, ...]:
        """The assets that it reads under these settings."""
        return self.upstream + (self.feedback if settings.baseline.network_feature else ())

    def code_version(self) -> str:
        """Hash of the code that can change the result."""
        return code_version(self.module)

    def settings_hash(self, settings: Settings) -> str:
        """Hash of the settings that can change the result."""
        return settings.hash_of(*self.sections)

    def materialise(self, run: StageRun) -> Manifest:
        """Compute and publish the artefact (imports the room's libraries only now).

        Matrix products of NumPy run on one thread: how a sum is shared among threads changes its last bits, and a
        result must not depend on the machine. What needs more threads (features, trees, the network) has its own.
        """
        room = importlib.import_module(self.module)
        with threadpool_limits(limits=1, user_api="blas"):
            manifest: Manifest = room.materialise(run)
        return manifest

    def pictures(self) -> tuple[Picture, ...]:
        """The pictures of the room, for the UI; none where the room has no ``pictures`` module."""
        if importlib.util.find_spec(f"model.{self.name}.pictures") is None:
            return ()
        pictures: tuple[Picture, ...] = importlib.import_module(f"model.{self.name}.pictures").PICTURES
        return pictures

    def pages(self) -> tuple[Page, ...]:
        """The pages of the room, for people; none where the room has no ``pages`` module."""
        if importlib.util.find_spec(f"model.{self.name}.pages") is None:
            return ()
        pages: tuple[Page, ...] = importlib.import_module(f"model.{self.name}.pages").PAGES
        return pages

    def checks(self) -> tuple[Check, ...]:
        """The checks of the room."""
        checks: tuple[Check, ...] = importlib.import_module(f"model.{self.name}.checks").CHECKS
        return checks


STAGES: tuple[Stage, ...] = (
    Stage(
        "daily_quotes",
        "day",
        (),
        ("source",),
        "What the source said for one trading day: rows as received and in canonical form, with the time they "
        "became known.",
        "data",
        ("parquet", "polars"),
    ),
    Stage(
        "raw_dataset",
        "none",
        ("daily_quotes",),
        ("quality", "universe", "calendar"),
        "The gated, split-adjusted panel in month chunks, the point-in-time universe, the calendar, and every "
        "quarantined row with its reason.",
        "data",
        ("parquet", "polars", "duckdb"),
    ),
    Stage(
        "quality_features",
        "none",
        ("raw_dataset",),
        ("features", "labels", "source"),
        "Point-in-time features by date and code in month chunks; forward-return labels in a sister table.",
        "features",
        ("parquet", "polars"),
    ),
    Stage(
        "walk_forward_folds",
        "fold",
        ("quality_features",),
        ("folds", "labels"),
        "Train, validation and test dates with purge and embargo in trading days, and the fingerprint of the "
        "fold's own slice of features and labels.",
        "folds",
        ("polars",),
    ),
    Stage(
        "normalization_stats",
        "fold",
        ("walk_forward_folds",),
        ("normalization",),
        "Statistics of each day's own cross-section, and clip bounds and target scales fitted on train dates.",
        "folds",
        ("polars",),
    ),
    Stage(
        "baseline",
        "fold",
        ("walk_forward_folds", "normalization_stats"),
        ("baseline", "labels", "portfolio.min_names", "seed"),
        "LightGBM (regression and ranking) and ridge per horizon, out of fold, with momentum, one-day reversal and "
        "random scores beside them.",
        "baseline",
        ("lightgbm", "polars"),
    ),
    Stage(
        "correlation_graph",
        "fold",
        ("walk_forward_folds",),
        ("graph",),
        "For each rebalance date the graph of correlated names, from the past window only.",
        "graph",
        ("polars", "numpy"),
    ),
    Stage(
        "atft_tensors",
        "fold",
        ("walk_forward_folds", "normalization_stats", "correlation_graph"),
        ("tensors", "labels"),
        "The fold's index over shared, memory-mapped month shards: dates, codes, statistics and graph.",
        "tensors",
        ("pytorch", "numpy"),
        feedback=("baseline",),
    ),
    Stage(
        "trained_model",
        "fold",
        ("atft_tensors",),
        ("network", "training", "tensors", "seed"),
        "ATFT-GAT-FAN, trained in four phases with early stopping; weights, curves and the MLflow run.",
        "training",
        ("pytorch", "pyg", "mlflow"),
    ),
    Stage(
        "validation_predictions",
        "fold",
        ("walk_forward_folds", "atft_tensors", "trained_model"),
        ("tensors", "labels", "predictions"),
        "The network's out-of-fold predictions with calibrated quantiles and labels.",
        "evaluation",
        ("pytorch", "polars"),
    ),
    Stage(
        "portfolio_report",
        "none",
        (
            "walk_forward_folds",
            "normalization_stats",
            "baseline",
            "correlation_graph",
            "atft_tensors",  # by which it waits for the way from statistics and graph to the predictions
            "trained_model",
            "validation_predictions",
        ),
        ("portfolio", "labels", "seed"),
        "Metrics and simulated portfolios of every model side by side, out of fold, with n and interval.",
        "evaluation",
        ("polars", "matplotlib", "plotly"),
        documents=(TRIALS, ABLATION),
    ),
)

BY_NAME = {stage.name: stage for stage in STAGES}
ASSET_NAMES = tuple(BY_NAME)
FOLD_STAGES = tuple(stage.name for stage in STAGES if stage.partitions == "fold")


def descendants(name: str, settings: Settings | None = None) -> tuple[str, ...]:
    """Every stage that depends on ``name`` under some settings, directly or not, in graph order.

    Args:
        settings: left out, those of the defaults.
    """
    reached = {name}
    for stage in STAGES:
        if reached & set(stage.upstream if settings is None else stage.reads(settings)):
            reached.add(stage.name)
    return tuple(stage.name for stage in STAGES if stage.name in reached and stage.name != name)
