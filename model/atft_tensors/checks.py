"""Checks of a fold's tensors, made on the panel as the network will read it."""

from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file

from model.atft_tensors.panel import INDEX, STATS, FoldPanel, load_panel
from model.atft_tensors.stage import ASSET, shard_directory
from model.normalization_stats.load import load_normalizer
from model.store.checks import Check, CheckOutcome
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

MIN_PRESENT = 0.95
"""Smallest share of a window's days on which a member has a feature row."""


def check_shape(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The panel has the features and horizons of the settings, and every used day a whole window before it."""
    panel = _panel(store, partition)
    lookback = settings.tensors.lookback
    used = np.concatenate([panel.train, panel.validation, panel.test])
    problems = []
    if panel.horizons != tuple(settings.labels.horizons):
        problems.append(f"horizons {panel.horizons} instead of {settings.labels.horizons}")
    if used.min() < lookback - 1 or used.max() >= len(panel.dates):
        problems.append("days without a whole window")
    if len(np.unique(used)) != len(used) or not (panel.train.max() < panel.validation.min()):
        problems.append("roles overlap or are out of order")
    if panel.edge_index.size and panel.edge_index.max() >= len(panel.codes):
        problems.append("edges to unknown codes")
    days, names, features = panel.x.shape
    return CheckOutcome(
        passed=not problems,
        summary="; ".join(problems) or f"{days} days, {names} codes, {features} features, lookback {lookback}",
        metadata={"days": days, "codes": names, "features": features, "edges": int(panel.edge_index.shape[1])},
    )


def check_coverage(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Members of the used days have feature rows throughout their windows, and train days have labels."""
    panel = _panel(store, partition)
    lookback = settings.tensors.lookback
    rows = np.cumsum(np.vstack([np.zeros((1, len(panel.codes)), np.int64), panel.present]), axis=0)
    used = np.concatenate([panel.train, panel.validation, panel.test])
    share = (rows[used + 1] - rows[used + 1 - lookback])[panel.member[used]].mean() / lookback
    labelled = np.isfinite(panel.y[panel.train])[panel.member[panel.train]].mean(axis=0)
    passed = bool(share >= MIN_PRESENT and (labelled > 0.5).all())
    return CheckOutcome(
        passed=passed,
        severity="warn" if (labelled > 0.5).all() else "error",
        summary=f"{share:.1%} of the windows' days have features; labels on {labelled.min():.1%} of train samples",
        metadata={"present_share": float(share), "labelled_share": [float(value) for value in labelled]},
    )


def check_finite(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Inputs are finite everywhere and vary across the names of a day."""
    panel = _panel(store, partition)
    broken = sum(int((~np.isfinite(a)).sum()) for a in (panel.x, panel.own_return, panel.edge_attr, panel.target_scale))
    used = np.concatenate([panel.train, panel.validation, panel.test])
    dead = [name for f, name in enumerate(panel.features) if not panel.x[used, :, f].any()]
    passed = not broken and not dead and bool((panel.target_scale > 0).all())
    summary = f"{broken} values are not finite; {len(dead)} features are 0 throughout{_remedy(dead)}."
    return CheckOutcome(passed=passed, summary=summary, metadata={"not_finite": broken, "dead_features": dead})


def _remedy(dead: list[str]) -> str:
    if not dead:
        return ""
    return (
        f" ({', '.join(dead[:10])}{' …' if len(dead) > 10 else ''}): they are missing, or do not vary, in this fold. "
        "Leave them out of tensors.features, or let the folds start later, when their windows have filled"
    )


def check_statistics_of_same_fold(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The statistics in the tensors are those of this fold's normalisation."""
    assert partition is not None
    stats = load_file(store.path(ASSET, STATS, partition))
    index = store.read_json(ASSET, INDEX, partition)
    expected = load_normalizer(store, partition).take(tuple(index["features"]))
    same = all(
        np.array_equal(stats[name], getattr(expected, name), equal_nan=True)
        for name in ("dates", "mean", "std", "low", "high")
    )
    return CheckOutcome(
        passed=same,
        summary="statistics are those of this fold" if same else "statistics differ from normalization_stats",
    )


def _panel(store: Store, partition: str | None) -> FoldPanel:
    return load_panel(store.directory(ASSET, partition), shard_directory(store))


CHECKS: tuple[Check, ...] = (
    Check("shape", "features, horizons and roles are as configured; every used day has a whole window", check_shape),
    Check("coverage", "members have features throughout their windows and labels on train days", check_coverage),
    Check("finite", "inputs are finite and no feature is zero throughout", check_finite),
    Check("statistics_of_same_fold", "the statistics are this fold's normalisation", check_statistics_of_same_fold),
)
