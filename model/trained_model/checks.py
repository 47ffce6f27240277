"""Checks of a trained network."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

from model.store.checks import Check, CheckOutcome
from model.store.store import Store
from model.trained_model.artefact import ASSET, CONFIG, METRICS, WEIGHTS

if TYPE_CHECKING:
    from model.settings.root import Settings


def check_finite_weights(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every weight is a finite number."""
    weights = load_file(store.path(ASSET, WEIGHTS, partition))
    broken = {name: int((~np.isfinite(value)).sum()) for name, value in weights.items() if not np.isfinite(value).all()}
    return CheckOutcome(
        passed=not broken,
        summary=f"{sum(broken.values())} weights in {len(broken)} of {len(weights)} tensors are not finite",
        metadata={"tensors": sorted(broken)},
    )


def check_not_degenerate(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The kept epoch's predictions differ between stocks on every horizon."""
    record = _kept(store, partition)
    horizons = store.read_json(ASSET, CONFIG, partition)["horizons"]
    limit = settings.training.guards.min_prediction_std
    ratios = {h: float(record.get(f"val_std_ratio_{h}", float("nan"))) for h in horizons}
    broken = [h for h, ratio in ratios.items() if not ratio > limit]
    flags = store.read_json(ASSET, METRICS, partition)["flags"]
    return CheckOutcome(
        passed=not broken and not flags,
        severity="error" if broken else "warn",
        summary=" ".join(flags) or f"prediction over target std at least {min(ratios.values()):.3g} on validation days",
        metadata={f"std_ratio_{h}": ratio for h, ratio in ratios.items() if not math.isnan(ratio)},
    )


def check_parameter_count(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The number of parameters is the stated one, where one is stated."""
    found = int(store.read_json(ASSET, CONFIG, partition)["parameters"])
    expected = settings.network.expected_parameters
    summary = f"{found:,} parameters" + (f", {expected:,} stated" if expected is not None else ", no number stated")
    return CheckOutcome(passed=expected is None or expected == found, summary=summary, metadata={"parameters": found})


def check_gradients(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every part that acted in the kept epoch received a gradient, and the graph had edges."""
    record = _kept(store, partition)
    switches = store.read_json(ASSET, CONFIG, partition)["switches"]
    off = set() if switches["adaptive_norm"] else {"fan", "san"}
    off |= set() if switches["graph"] else {"gat", "attention"}
    norms = {name.removeprefix("gradient_"): float(v) for name, v in record.items() if name.startswith("gradient_")}
    has_graph = settings.network.graph
    dead = [name for name, v in norms.items() if name not in off and not v > 0 and (name != "attention" or has_graph)]
    edges = float(record["edges_per_step"])
    if switches["graph"] and not edges > 0:
        dead.append("edges")
    return CheckOutcome(
        passed=not dead,
        summary=f"no gradient in {', '.join(dead)}" if dead else f"all {len(norms) - len(off)} active parts learn",
        metadata={**{f"gradient_{name}": norm for name, norm in norms.items()}, "edges_per_step": edges},
    )


def _kept(store: Store, partition: str | None) -> dict[str, Any]:
    """The record of the epoch whose weights were kept."""
    metrics = store.read_json(ASSET, METRICS, partition)
    kept: dict[str, Any] = metrics["history"][metrics["best_epoch"] - 1]
    return kept


CHECKS: tuple[Check, ...] = (
    Check("finite_weights", "every weight is a finite number", check_finite_weights),
    Check("not_degenerate", "predictions differ between stocks on every horizon", check_not_degenerate),
    Check("parameter_count", "as many parameters as the configuration states", check_parameter_count),
    Check("gradients", "every active part received a gradient; the graph had edges", check_gradients),
)
