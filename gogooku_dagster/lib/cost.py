"""What bringing an installation up to date will cost, said beforehand from what things cost before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from model.lineage.graph import ASSET_NAMES

if TYPE_CHECKING:
    from gogooku_dagster.lib.overheads import Overheads
    from model.lineage.staleness import Verdict
    from model.settings.root import Settings
    from model.store.manifest import Manifest
    from model.store.store import Store

DAYS, RAW, FEATURES = "daily_quotes", "raw_dataset", "quality_features"
_REMADE = ("code changed", "settings changed")


@dataclass(frozen=True)
class Forecast:
    """Seconds for each verdict (None: never computed before), least and most, in the verdicts' order."""

    seconds: tuple[tuple[float, float] | None, ...]
    full_rebuild: float


def forecast(store: "Store", settings: "Settings", verdicts: Sequence["Verdict"], beside: "Overheads") -> Forecast:
    """What each artefact will cost at least and at most.

    The raw dataset and the features are mended in part: their cost follows from the days that changed. Every other
    artefact costs what it cost last time. To the seconds of a stage come those that its step took beside it.
    """
    days = [date.fromisoformat(each.partition) for each in verdicts if each.asset == DAYS and each.partition]
    stages = [(each, _seconds(store, settings, each, days)) for each in verdicts]
    steps = tuple(
        None if span is None else (span[0] + extra, span[1] + extra)
        for verdict, span in stages
        for extra in (beside.of(verdict.asset, verdict.partition),)
    )
    return Forecast(steps, _full_rebuild(store, beside))


def recomputed(manifest: "Manifest") -> Mapping[str, Any] | None:
    """What of a partly mended artefact was computed: cells and chunks now, and cells of a whole build."""
    tables: Mapping[str, Mapping[str, int]] = manifest.extra.get("recomputed", {})
    full: Mapping[str, Mapping[str, Any]] = manifest.extra.get("full", {})
    if not tables or not full:
        return None
    return {
        "cells": sum(table["cells"] for table in tables.values()),
        "chunks": sum(table["chunks"] for table in tables.values()),
        "cells_of_a_full_build": sum(int(each["cells"]) for each in full.values()),
        "seconds_of_a_full_build": full_seconds(manifest),
    }


def full_seconds(manifest: "Manifest") -> float:
    """Seconds of the last time that all of an artefact was computed."""
    return float(manifest.extra.get("full_seconds", manifest.seconds))


def _seconds(
    store: "Store", settings: "Settings", verdict: "Verdict", days: Sequence[date]
) -> tuple[float, float] | None:
    manifest = store.manifest(verdict.asset, verdict.partition)
    if manifest is None:
        return None
    whole = full_seconds(manifest)
    if verdict.asset not in (RAW, FEATURES) or not days or any(text.startswith(_REMADE) for text in verdict.reasons):
        return whole, whole
    if verdict.asset == RAW:
        months = {f"{day:%Y-%m}" for day in days}
        share = min(1.0, len(months) / max(1, int(manifest.extra.get("months", 1))))
        return whole * share, whole
    from model.quality_features.estimate import estimate

    found = estimate(store, settings, days)
    return (whole, whole) if found is None else (found.one_name.seconds, found.every_name.seconds)


def _full_rebuild(store: "Store", beside: "Overheads") -> float:
    total = beside.run or 0.0
    for asset in ASSET_NAMES:
        for partition in store.partitions(asset):
            manifest = store.manifest(asset, None if partition == "all" else partition)
            total += full_seconds(manifest) + beside.of(asset, manifest.partition) if manifest else 0.0
    return total
