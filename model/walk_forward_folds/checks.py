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
        resolved = _last_resolution(store, settings, fold, before)
        if resolved is not None and resolved >= after:
            problems.append(f"a label of {fitted} resolves on {resolved}, and {judged} starts on {after}")
    return CheckOutcome(
        passed=not problems,
        summary=f"Fold {fold.name}: " + ("; ".join(problems) or "parts and the spans of their labels are disjoint."),
        metadata={f"{role}_days": len(fold.dates_of(role)) for role in PARTS},
    )


def check_gap(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """The trading days strictly between a used label's day and the next part are at least its horizon plus the embargo.

    For the longest label these are the longest horizon plus the embargo. Validation and test days use all labels.
    """
    fold = Fold.load(store, str(partition))
    place = {day: position for position, day in enumerate(fold.window_dates)}
    longest, embargo = max(settings.labels.horizons), settings.folds.embargo_days
    reach = [
        longest if role in ("validation", "test") else own for role, own in zip(fold.roles, fold.reach, strict=True)
    ]
    gaps: dict[str, int] = {}
    left: dict[str, int] = {}
    for fitted, judged, before, after in _meetings(fold):
        name = f"{fitted}_{judged}"
        for horizon in settings.labels.horizons:
            last = next((day for day in range(place[before], -1, -1) if reach[day] >= horizon), -1)
            gap = place[after] - last - 1
            left[name] = min(left.get(name, len(place)), gap - horizon)
            if horizon == longest:
                gaps[name] = min(gaps.get(name, len(place)), gap)
    listed = ", ".join(f"{days} {name.replace('_', ' to ')}" for name, days in left.items())
    return CheckOutcome(
        passed=bool(left) and min(left.values()) >= embargo,
        summary=(
            f"Fold {fold.name}: fewest trading days between a label that is used and the next part, less its horizon: "
            f"{listed}; {embargo} are needed (embargo)."
        ),
        metadata={
            **{f"gap_{name}": days for name, days in gaps.items()},
            "needed": longest + embargo,
            **{f"embargo_{name}": days for name, days in left.items()},
            "embargo_needed": embargo,
        },
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
    """Train (with all labels), validation and lookback have the days that are asked for, and there is a test day."""
    fold = Fold.load(store, str(partition))
    needed = {
        "lookback": settings.folds.lookback_days,
        "train": settings.folds.min_train_days,
        "validation": settings.folds.validation_days,
        "test": 1,
    }
    found = {role: fold.roles.count(role) for role in needed} | {"train": len(fold.fitted_dates(fold.purge_days))}
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


def _last_resolution(store: "Store", settings: "Settings", fold: Fold, last: date) -> date | None:
    """The latest day on which a label resolves that is dated up to ``last`` and used by the fold."""
    horizons = settings.labels.horizons
    stop = fold.window_dates.index(last) + 1
    days = slice(max(0, stop - 2 * max(horizons)), stop)  # a label of an earlier day resolves earlier
    reach = pl.DataFrame(
        {"Date": fold.window_dates[days], "reach": fold.reach[days]}, schema={"Date": pl.Date, "reach": pl.Int32}
    )
    columns = ["Date", *(f"resolved_{horizon}" for horizon in horizons)]
    labels = store.read_chunks(FEATURES, "labels", start=fold.window_dates[days][0], end=last, columns=columns)
    used = labels.join(reach, on="Date").select(
        pl.col(f"resolved_{horizon}").filter(pl.col("reach") >= horizon).max() for horizon in horizons
    )
    latest: date | None = used.select(pl.max_horizontal(pl.all())).item()
    return latest


CHECKS: tuple[Check, ...] = (
    Check("no_overlap", "Parts are disjoint, and so are the spans of their labels.", check_no_overlap),
    Check("gap", "Each label keeps its horizon plus the embargo from the next part, in trading days.", check_gap),
    Check("minimum_days", "Every part has the days that the settings ask for.", check_minimum_days),
    Check("minimum_names", "Every day has the names that a cross-section needs.", check_minimum_names),
)
