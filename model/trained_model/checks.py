"""Checks of a trained network."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

from model.store.checks import Check, CheckOutcome
from model.store.store import Store
from model.trained_model.artefact import ASSET, CONFIG, METRICS

if TYPE_CHECKING:
    from model.settings.root import Settings


def check_finite_weights(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every weight is a finite number."""
    files = [member["weights"] for member in store.read_json(ASSET, CONFIG, partition)["members"]]
    weights = {
        f"{file}:{name}": value
        for file in files
        for name, value in load_file(store.path(ASSET, file, partition)).items()
    }
    broken = {name: int((~np.isfinite(value)).sum()) for name, value in weights.items() if not np.isfinite(value).all()}
    return CheckOutcome(
        passed=not broken,
        summary=f"{sum(broken.values())} weights in {len(broken)} of {len(weights)} tensors are not finite",
        metadata={"tensors": sorted(broken)},
    )


def check_not_degenerate(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The kept epochs' predictions differ between stocks on every horizon; a warning where guards only flag it."""
    guards = settings.training.guards
    worst: dict[int, float] = {}
    for record in _kept(store, partition):
        for h in store.read_json(ASSET, CONFIG, partition)["horizons"]:
            ratio = float(record.get(f"val_std_ratio_{h}", float("nan")))
            worst[h] = ratio if math.isnan(ratio) else min(ratio, worst.get(h, ratio))
    broken = [h for h, ratio in worst.items() if not ratio > guards.min_prediction_std]
    least = min(worst.values(), key=lambda ratio: -1.0 if math.isnan(ratio) else ratio)
    found = f"prediction over target std at least {least:.3g} on validation days"
    flat = f"; not above training.guards.min_prediction_std {guards.min_prediction_std:g} on horizon "
    only_flagged = guards.degenerate == "flag" and not math.isnan(least)
    return CheckOutcome(
        passed=not broken,
        severity="warn" if only_flagged else "error",
        summary=found + (flat + ", ".join(map(str, broken)) if broken else ""),
        metadata={f"std_ratio_{h}": ratio for h, ratio in worst.items() if not math.isnan(ratio)},
    )


def check_guards(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No guard found anything to flag during the training."""
    flags = read_flags(store, partition)
    return CheckOutcome(
        passed=not flags,
        severity="warn",
        summary=" ".join(flags) or "no guard had anything to say",
        metadata={"flagged": len(flags), "flags": flags},
    )


def check_parameter_count(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The number of parameters is the stated one, where one is stated."""
    found = int(store.read_json(ASSET, CONFIG, partition)["parameters"])
    expected = settings.network.expected_parameters
    summary = f"{found:,} parameters" + (f", {expected:,} stated" if expected is not None else ", no number stated")
    return CheckOutcome(passed=expected is None or expected == found, summary=summary, metadata={"parameters": found})


def check_gradients(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every part that acted and was not frozen in the kept epochs received a gradient, and the graph had edges."""
    members = store.read_json(ASSET, CONFIG, partition)["members"]
    dead: list[str] = []
    figures: dict[str, float] = {}
    for number, (record, member) in enumerate(zip(_kept(store, partition), members, strict=True)):
        norms = gradients(record)
        mark = f" (member {number})" if len(members) > 1 else ""
        dead += [f"{name}{mark}" for name in dead_parts(record, member["switches"], has_graph=settings.network.graph)]
        figures |= {f"gradient_{name}{mark}": norm for name, norm in norms.items()}
        figures[f"edges_per_step{mark}"] = float(record["edges_per_step"])
    return CheckOutcome(
        passed=not dead,
        summary=f"no gradient in {', '.join(dead)}" if dead else "all active parts learn",
        metadata=figures,
    )


def gradients(record: dict[str, Any]) -> dict[str, float]:
    """Gradient norms of an epoch, by part."""
    return {name.removeprefix("gradient_"): float(v) for name, v in record.items() if name.startswith("gradient_")}


def dead_parts(record: dict[str, Any], switches: dict[str, bool], *, has_graph: bool) -> list[str]:
    """Parts that should have learnt in an epoch and received no gradient; ``edges`` where the graph had none."""
    frozen = set(str(record.get("frozen", "")).split(", "))
    idle = frozen | (set() if switches["adaptive_norm"] else {"fan", "san"})
    if not switches["graph"] or not has_graph:
        idle |= {"gat", "gat_input", "attention", "gate"}
    idle |= {"attention"} if "gat" in frozen else set()
    idle |= {"gate"} if "fusion" in frozen else set()
    dead = [name for name, norm in gradients(record).items() if name not in idle and not norm > 0]
    return dead + (["edges"] if switches["graph"] and not float(record["edges_per_step"]) > 0 else [])


def read_flags(store: Store, partition: str | None) -> list[str]:
    """What guards flagged in the training of a fold, of all its members."""
    return [flag for curves in _curves(store, partition) for flag in curves["flags"]]


def _curves(store: Store, partition: str | None) -> list[dict[str, Any]]:
    """The curves of every member."""
    metrics = store.read_json(ASSET, METRICS, partition)
    return [metrics, *metrics["members"]]


def _kept(store: Store, partition: str | None) -> list[dict[str, Any]]:
    """The record of the epoch whose weights were kept, of every member."""
    return [curves["history"][curves["best_epoch"] - 1] for curves in _curves(store, partition)]


CHECKS: tuple[Check, ...] = (
    Check("finite_weights", "every weight is a finite number", check_finite_weights),
    Check("not_degenerate", "predictions differ between stocks on every horizon", check_not_degenerate),
    Check("guards", "no guard flagged the training", check_guards, blocking=False),
    Check("parameter_count", "as many parameters as the configuration states", check_parameter_count),
    Check("gradients", "every active part received a gradient; the graph had edges", check_gradients),
)
