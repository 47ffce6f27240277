"""What must hold of a fold before anything is fitted on it."""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from model.store.checks import Check, CheckOutcome
from model.walk_forward_folds.fold import ASSET, Fold, Role
from model.walk_forward_folds.stage import FEATURES

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store

PARTS: tuple[Role, ...] = ("train", "validation", "test")


def check_no_overlap(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Each date has one role, and no label of a part resolves within a stretch that judges it, nor the reverse.

    The days on which labels resolve are read from the label table itself, not derived from the split.
    """
    fold = Fold.load(store, str(partition))
    problems: list[str] = []
    if any(later <= earlier for earlier, later in pairwise(fold.window_dates)):
        problems.append("the days of the window are not increasing")
    for fitted, judged, before, after in _meetings(fold):
        resolved = _last_resolution(store, settings, fold.window_start, before)
        if resolved is not None and resolved >= after:
            problems.append(f"a label of {fitted} resolves on {resolved}, and {judged} starts on {after}")
    return CheckOutcome(
        passed=not problems,
        summary=f"Fold {fold.name}: " + ("; ".join(problems) or "parts and the spans of their labels are disjoint."),
        metadata={f"{role}_days": len(fold.dates_of(role)) for role in PARTS},
    )


def check_gap(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """The trading days strictly between two parts are at least the longest horizon plus the embargo."""
    fold = Fold.load(store, str(partition))
    needed = max(settings.labels.horizons) + settings.folds.embargo_days
    place = {day: position for position, day in enumerate(fold.window_dates)}
    gaps: dict[str, int] = {}
    for fitted, judged, before, after in _meetings(fold):
        name = f"gap_{fitted}_{judged}"
        gaps[name] = min(gaps.get(name, len(place)), place[after] - place[before] - 1)
    listed = ", ".join(f"{gap} {name.removeprefix('gap_').replace('_', ' to ')}" for name, gap in gaps.items())
    return CheckOutcome(
        passed=bool(gaps) and min(gaps.values()) >= needed,
        summary=(
            f"Fold {fold.name}: fewest trading days between parts: {listed}; {needed} are needed (longest horizon "
            "plus embargo)."
        ),
        metadata={**gaps, "needed": needed},
    )


def _meetings(fold: Fold) -> Iterator[tuple[str, str, date, date]]:
    """Where two parts meet in time: earlier part, later part, last day of the one and first day of the other.

    Stretches of the same part do not judge each other; neither do the days of purge, embargo and lookback.
    """
    held = [(day, role) for day, role in zip(fold.window_dates, fold.roles, strict=True) if role in PARTS]
    for (before, earlier), (after, later) in pairwise(held):
        if earlier != later:
            yield earlier, later, before, after


def check_minimum_days(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Train, validation and lookback have the days that the settings ask for, and there is a test day."""
    fold = Fold.load(store, str(partition))
    needed = {
        "lookback": settings.folds.lookback_days,
        "train": settings.folds.min_train_days,
        "validation": settings.folds.validation_days,
        "test": 1,
    }
    found = {role: fold.roles.count(role) for role in needed}
    short = [f"{role} has {found[role]} of {needed[role]} days" for role in needed if found[role] < needed[role]]
    counts = ", ".join(f"{found[role]} {role}" for role in needed)
    return CheckOutcome(
        passed=not short,
        summary=f"Fold {fold.name}: " + ("; ".join(short) or f"days: {counts}") + ".",
        metadata={f"{role}_days": count for role, count in found.items()},
    )


def check_minimum_names(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Train, validation and test days have enough universe members, but for a few thin days (an exchange outage)."""
    dates = store.read_table(ASSET, "dates.parquet", partition).filter(pl.col("role").is_in(PARTS))
    needed, allowed = settings.folds.min_names, settings.folds.max_thin_days_share
    thin = dates.filter(pl.col("names") < needed)
    share = thin.height / max(1, dates.height)
    listed = ", ".join(f"{day} ({names})" for day, _, names in thin.head(5).select("Date", "role", "names").rows())
    return CheckOutcome(
        passed=dates.height > 0 and share <= allowed,
        summary=(
            f"Fold {partition}: {thin.height} of {dates.height} days have fewer than {needed} universe members"
            + (f": {listed}" if listed else "")
            + f"; up to {allowed:.1%} of the days may (folds.max_thin_days_share)."
        ),
        metadata={
            "thin_days": thin.height,
            "fewest_names": int(dates.select(pl.col("names").min()).item() or 0),
            "median_names": float(dates.select(pl.col("names").median()).item() or 0.0),
        },
    )


def _last_resolution(store: "Store", settings: "Settings", start: date, last: date) -> date | None:
    """The latest day on which a label dated up to ``last`` resolves."""
    columns = [f"resolved_{horizon}" for horizon in settings.labels.horizons]
    month_start = max(start, last.replace(day=1))
    labels = store.read_chunks(FEATURES, "labels", start=month_start, end=last, columns=columns)
    latest: date | None = labels.select(pl.max_horizontal(pl.all().max())).item()
    return latest


CHECKS: tuple[Check, ...] = (
    Check("no_overlap", "Parts are disjoint, and so are the spans of their labels.", check_no_overlap),
    Check("gap", "The gap is at least the longest horizon plus the embargo, in trading days.", check_gap),
    Check("minimum_days", "Every part has the days that the settings ask for.", check_minimum_days),
    Check("minimum_names", "Every day has the names that a cross-section needs.", check_minimum_names),
)
