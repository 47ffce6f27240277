"""How the labels are distributed: a check of their plausibility, horizon by horizon.

A label that is constant, mostly zero, far off centre or full of giants says that prices under it are wrong (a unit, a
missed split, repeated closes), and trains every model on them. Months are read one at a time; only sums are kept.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from model.store.checks import CheckOutcome

GIANT = 2.0
"""A label beyond 200 % in absolute value (in log terms a factor of three) over at most some weeks is a giant."""
MOST_GIANTS, MOST_ZEROS, MOST_OFF_CENTRE = 0.001, 0.2, 0.25
"""Largest share of giants and of exact zeros, and largest distance of the mean from 0 in standard deviations."""
_FLAT_DAY = 1e-6
"""A day on which the labels differ by less than this (standard deviation) ranks nothing."""


@dataclass(frozen=True)
class Distribution:
    """Of one horizon over all months: counts and moments of the labels that are there."""

    rows: int
    count: int
    mean: float
    std: float
    zeros: int
    giants: int
    days: int
    flat_days: int

    @property
    def complaints(self) -> list[str]:
        """What is not plausible, in plain words; none if everything is."""
        if not self.count:
            return ["no label at all"]
        found = []
        if self.std == 0.0:
            found.append("all labels are equal")
        elif abs(self.mean) > MOST_OFF_CENTRE * self.std:
            found.append(f"the mean {self.mean:+.4f} is far off centre (standard deviation {self.std:.4f})")
        if self.giants > MOST_GIANTS * self.count:
            found.append(f"{self.giants / self.count:.2%} lie beyond {GIANT:.0%}")
        if self.zeros > MOST_ZEROS * self.count:
            found.append(f"{self.zeros / self.count:.1%} are exactly 0")
        if self.flat_days:
            found.append(f"all names have the same label on {self.flat_days} of {self.days} days")
        return found


def check_distribution(months: Iterable[pl.DataFrame], horizons: Sequence[int]) -> CheckOutcome:
    """The outcome of the check ``label_distribution``.

    Args:
        months: Date and ``target_{h}`` of each horizon, whole days, one month after another.
        horizons: in trading days.

    Returns:
        A warning where a horizon is not plausible; count, mean, standard deviation and shares of every horizon.
    """
    found = measure(months, horizons)
    wrong = {h: of_one.complaints for h, of_one in found.items() if of_one.complaints}
    words = "; ".join(f"{h} days: {', '.join(complaints)}" for h, complaints in wrong.items())
    metadata: dict[str, float | int] = {}
    for h, of_one in found.items():
        metadata[f"count_{h}"] = of_one.count
        metadata[f"null_share_{h}"] = 1.0 - of_one.count / of_one.rows if of_one.rows else 1.0
        metadata[f"mean_{h}"] = of_one.mean
        metadata[f"std_{h}"] = of_one.std
        metadata[f"zero_share_{h}"] = of_one.zeros / max(of_one.count, 1)
        metadata[f"giant_share_{h}"] = of_one.giants / max(of_one.count, 1)
        metadata[f"flat_days_{h}"] = of_one.flat_days
    return CheckOutcome(
        passed=not wrong,
        severity="warn",
        summary=f"Labels of {len(found)} horizons; {words or 'all are plausible'}.",
        metadata=metadata,
    )


def measure(months: Iterable[pl.DataFrame], horizons: Sequence[int]) -> dict[int, Distribution]:
    """The distribution of each horizon, from sums over the months."""
    sums = [month.select(each for h in horizons for each in _sums(h)) for month in months]
    if not sums:
        return {h: Distribution(0, 0, 0.0, 0.0, 0, 0, 0, 0) for h in horizons}
    total = pl.concat(sums).sum().row(0, named=True)
    return {h: _distribution({name: total[f"{name}_{h}"] for name in _NAMES}) for h in horizons}


_NAMES = ("rows", "count", "sum", "squares", "zeros", "giants", "days", "flat_days")


def _sums(h: int) -> list[pl.Expr]:
    """Sums of one month; a day counts if it has two labels, and is flat if they hardly differ."""
    label = pl.col(f"target_{h}").cast(pl.Float64)
    spread = label.std().over("Date")
    first = pl.col("Date").is_first_distinct()
    parts = (
        pl.len().cast(pl.Int64),
        label.count().cast(pl.Int64),
        label.sum(),
        (label * label).sum(),
        (label == 0.0).sum().cast(pl.Int64),
        (label.abs() > GIANT).sum().cast(pl.Int64),
        (first & spread.is_not_null()).sum().cast(pl.Int64),
        (first & (spread < _FLAT_DAY)).sum().cast(pl.Int64),
    )
    return [part.alias(f"{name}_{h}") for name, part in zip(_NAMES, parts, strict=True)]


def _distribution(total: dict[str, float]) -> Distribution:
    count = int(total["count"])
    mean = total["sum"] / count if count else 0.0
    variance = max(total["squares"] / count - mean * mean, 0.0) if count else 0.0
    whole = {name: int(total[name]) for name in ("rows", "zeros", "giants", "days", "flat_days")}
    return Distribution(count=count, mean=mean, std=math.sqrt(variance), **whole)
