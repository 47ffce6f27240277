"""Is a trained network healthy? Its head, its gradients, its labels and features, with what to do about each complaint.

Everything is read from artefacts: the curves of the training, the panel that it learnt from and, where they are there,
the predictions of the test days. Nothing is computed anew, and nothing is changed.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.atft_tensors.panel import REACH, STATS, FoldPanel, load_panel
from model.atft_tensors.stage import ASSET as TENSORS
from model.atft_tensors.stage import shard_directory
from model.normalization_stats.apply import Normalizer
from model.normalization_stats.load import daily_grid, load_normalizer, read_daily
from model.store.store import Store
from model.trained_model.artefact import ASSET, CONFIG, INSIGHT, METRICS
from model.trained_model.checks import dead_parts, read_flags
from model.trained_model.config import GuardConfig

if TYPE_CHECKING:
    from model.settings.root import Settings

MOST_NULL_LABELS = 0.05
MOST_NULL_VALUES = 0.5
MOST_CLIPPED = 0.1
LEAST_RANK_IC = 0.01
"""Advice for figures that no guard watches; a complaint, no verdict."""
_PREDICTIONS = "validation_predictions"
_NAMES_SHOWN = 8

Document = dict[str, Any]


def diagnose(store: Store, settings: "Settings", fold: str) -> Document:
    """The state of a fold's network as plain values: ``head``, ``gradients``, ``graph``, ``labels``, ``features``.

    ``flags`` are what guards said during the training, ``complaints`` what looks wrong now, each with its remedy;
    ``healthy`` where there is neither.

    Raises:
        StoreError: the fold was not trained, or its tensors are gone.
    """
    metrics, config = store.read_json(ASSET, METRICS, fold), store.read_json(ASSET, CONFIG, fold)
    panel = load_panel(store.directory(TENSORS, fold), shard_directory(store))
    normalizer = load_normalizer(store, fold)
    history, kept = metrics["history"], metrics["history"][metrics["best_epoch"] - 1]
    document: Document = {
        "fold": fold,
        "epochs": len(history),
        "kept_epoch": metrics["best_epoch"],
        "kept_phase": kept["phase"],
        "members": len(config["members"]),
        "head": head_health(kept, panel.horizons, settings.training.guards),
        "test": _test_spread(store, fold),
        "gradients": series(history, "gradient_"),
        "graph": {
            **{name: [record.get(name) for record in history] for name in ("edges_per_step", "gate_alpha")},
            "acts": config["switches"]["graph"],
        },
        "labels": label_health(panel, load_file(store.path(TENSORS, STATS, fold))[REACH]),
        "features": feature_health(panel, normalizer, null_shares(store, fold, panel)),
        "looks_at": store.read_json(ASSET, INSIGHT, fold),
        "flags": read_flags(store, fold),
    }
    dead = dead_parts(kept, config["switches"], has_graph=settings.network.graph)
    document["complaints"] = complaints(document, dead)
    document["healthy"] = not document["complaints"] and not document["flags"]
    return document


def trained_folds(store: Store, settings: "Settings") -> list[str]:
    """The folds that were trained, in the order of the settings."""
    done = set(store.partitions(ASSET))
    names = settings.folds.names()
    return [name for name in names if name in done]


def head_health(kept: Document, horizons: tuple[int, ...], guards: GuardConfig) -> Document:
    """By horizon, on the validation days of the kept epoch: RankIC, days, and the predictions' spread.

    ``std_ratio`` is the standard deviation of predictions over that of the target, both within the day. About IC is
    honest for an expectation; at most ``guards.min_prediction_std`` is dead, above ``guards.max_std_ratio`` too wide.
    """
    found: Document = {}
    for horizon in horizons:
        ratio = kept.get(f"val_std_ratio_{horizon}")
        found[str(horizon)] = {
            "rank_ic": kept.get(f"val_rank_ic_{horizon}"),
            "days": kept.get(f"val_days_{horizon}"),
            "std_ratio": ratio,
            "dead": ratio is None or not ratio > guards.min_prediction_std,
            "wide": ratio is not None and ratio > guards.max_std_ratio,
        }
    return found


def series(history: list[Document], prefix: str) -> Document:
    """Figures of every epoch whose names begin with ``prefix``, by the rest of the name."""
    names = sorted({name for record in history for name in record if name.startswith(prefix)})
    return {name.removeprefix(prefix): [record.get(name) for record in history] for name in names}


def label_health(panel: FoldPanel, reach: NDArray[np.int64]) -> Document:
    """By horizon, over the members of the train and validation days: missing share and distribution of raw labels.

    Args:
        reach: [T] longest horizon whose labels the fold uses on each day; purged labels are not missing.
    """
    found: Document = {}
    for position, horizon in enumerate(panel.horizons):
        days = np.concatenate([panel.train, panel.validation])
        days = days[reach[days] >= horizon]
        member = panel.member[days]
        labels = panel.y[days][:, :, position][member].astype(np.float64)
        known = labels[np.isfinite(labels)]
        found[str(horizon)] = {
            "samples": len(labels),
            "null_share": 1 - len(known) / max(1, len(labels)),
            "target_scale": float(panel.target_scale[position]),
            **_distribution(known),
        }
    return found


def feature_health(panel: FoldPanel, normalizer: Normalizer, nulls: NDArray[np.float64]) -> Document:
    """By feature, over the members of the train days: missing share, share at a clip bound, whether it is constant, and
    whether it is the fold's own (a model's prediction, which is missing before that model's first).

    Args:
        normalizer: of the fold. Features that belong to the fold alone are scores already, which nothing clips.
        nulls: [F] share of the members' values that are missing.
    """
    scores = panel.x[panel.train][panel.member[panel.train]]  # [samples, F]
    bounds = dict(zip(normalizer.features, zip(normalizer.low, normalizer.high, strict=True), strict=True))
    low, high = np.array([bounds.get(name, (-np.inf, np.inf)) for name in panel.features], dtype=np.float32).T
    clipped = ((scores <= low) | (scores >= high)).mean(axis=0)
    constant = scores.max(axis=0) == scores.min(axis=0)
    return {
        name: {
            "null_share": float(nulls[f]),
            "clip_share": float(clipped[f]),
            "constant": bool(constant[f]),
            "own": name not in bounds,
        }
        for f, name in enumerate(panel.features)
    }


def null_shares(store: Store, fold: str, panel: FoldPanel) -> NDArray[np.float64]:
    """[F] share of the members' values that are missing on the train days; an own feature's score of 0 is missing."""
    daily = read_daily(store, fold, ["n"])
    names = sorted(daily["feature"].unique().to_list())
    dates = daily["Date"].unique().sort().to_physical().to_numpy()
    counted = daily_grid(daily, "n", names)[np.searchsorted(dates, panel.dates[panel.train])].sum(axis=0)
    members = panel.member[panel.train].sum()
    own = (panel.x[panel.train][panel.member[panel.train]] != 0).sum(axis=0)
    held = [counted[names.index(name)] if name in names else own[f] for f, name in enumerate(panel.features)]
    shares: NDArray[np.float64] = 1 - np.array(held, dtype=np.float64) / max(1, members)
    return shares.clip(0.0, 1.0)


def complaints(document: Document, dead: list[str]) -> list[Document]:
    """What looks wrong, each as ``{about, says, remedy}``.

    Args:
        dead: parts that acted in the kept epoch and received no gradient.
    """
    found: list[Document] = []

    def say(about: str, says: str, remedy: str) -> None:
        found.append({"about": about, "says": says, "remedy": remedy})

    head, labels, features = document["head"], document["labels"], document["features"]
    for horizon, figures in head.items():
        if figures["dead"]:
            say("head", f"horizon {horizon} d predicts the same for all stocks", "raise lr or epochs; see features")
        if figures["wide"]:
            ratio = figures["std_ratio"]
            say("head", f"horizon {horizon} d varies {ratio:.2g} times its target", "raise training.loss.pointwise")
    known = [figures["rank_ic"] for figures in head.values() if figures["rank_ic"] is not None]
    if known and max(known) < LEAST_RANK_IC:
        says = f"validation RankIC at most {max(known):+.4f} on every horizon (advice: above {LEAST_RANK_IC})"
        say("head", says, "more train days or features; compare with LightGBM on the same fold in the report")
    if dead:
        say("gradients", f"nothing reaches {', '.join(dead)}", "check the phase's switches and the graph's edges")
    for horizon, figures in labels.items():
        if figures["null_share"] > MOST_NULL_LABELS:
            says = f"{figures['null_share']:.1%} of the labels of {horizon} d are missing (advice: at most 5%)"
            say("labels", says, "look at missing prices and days with price limits (pages/raw_dataset/health.html)")
    for complaint, test, remedy in (
        ("are constant", lambda f: f["constant"], "leave them out of tensors.features, or mend their source"),
        (
            f"miss more than {MOST_NULL_VALUES:.0%} of their values",
            lambda f: f["null_share"] > MOST_NULL_VALUES and not f["own"],
            "leave them out of tensors.features, or start later",
        ),
        (
            f"are clipped in more than {MOST_CLIPPED:.0%} of their values",
            lambda f: f["clip_share"] > MOST_CLIPPED,
            "use normalization.method robust, or a feature of the logarithm or rank",
        ),
    ):
        names = [name for name, figures in features.items() if test(figures)]
        if names:
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            say("features", f"{', '.join(names[:_NAMES_SHOWN])}{more} {complaint}", remedy)
    return found


def _distribution(values: NDArray[np.float64]) -> Document:
    if not len(values):
        return {"mean": None, "std": None, "q01": None, "q99": None}
    low, high = np.quantile(values, [0.01, 0.99])
    return {"mean": float(values.mean()), "std": float(values.std()), "q01": float(low), "q99": float(high)}


def _test_spread(store: Store, fold: str) -> Document:
    """By horizon, on the test days: mean over days of the standard deviation across stocks, of predictions and labels.

    Empty where the fold was not predicted.
    """
    if store.manifest(_PREDICTIONS, fold) is None:
        return {}
    columns = ["Date", "horizon", "prediction", "label"]
    frame = store.read_table(_PREDICTIONS, "predictions.parquet", fold, columns)
    daily = frame.group_by("Date", "horizon").agg(pl.col("prediction", "label").fill_nan(None).std())
    means = daily.group_by("horizon").agg(pl.col("prediction", "label").mean(), pl.len().alias("days"))
    return {
        str(row["horizon"]): {"days": row["days"], "prediction_std": row["prediction"], "label_std": row["label"]}
        for row in means.sort("horizon").iter_rows(named=True)
    }
