"""Combinatorial purged cross-validation over the days of a panel (López de Prado 2018, ch. 12).

The history is cut into N periods (``folds.periods``). Each way of choosing k of them is a split: it is trained on all
other days, each label purged and embargoed by its own span (:mod:`model.walk_forward_folds.spans`), and predicts the
periods chosen. There are ``C(N, k)`` splits, every period is tested ``C(N - 1, k - 1)`` times, and the predictions make
up that many whole *paths* through the history, each of them a backtest.

>>> splits(4, 2)
((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
>>> paths(4, 2).tolist()
[[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]

Path 0 takes the predictions of periods 0 and 1 from split 0, of period 2 from split 1 and of period 3 from split 2.

Unlike a walk-forward fold, a split also learns from days after those that it predicts: it says how much a result
depends on the one history that happened, not what could have been earned.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.walk_forward_folds.fold import Fold, Role
from model.walk_forward_folds.periods import period_bounds
from model.walk_forward_folds.settings import COMBINATORIAL_PREFIX as PREFIX
from model.walk_forward_folds.settings import FoldSettings
from model.walk_forward_folds.spans import reach, stretches


@dataclass(frozen=True)
class Parts:
    """Positions of the days of a split, each increasing."""

    train: dict[int, int]
    """Each train day, and the longest horizon over which its label may be fitted."""
    validation: tuple[int, ...]
    test: tuple[int, ...]


def splits(count: int, tested: int) -> tuple[tuple[int, ...], ...]:
    """The periods that each split tests, by number, in order.

    Raises:
        ValueError: no period, or every period, would be tested.
    """
    if not 1 <= tested < count:
        raise ValueError(f"of {count} periods, at least one and not all must be tested, not {tested}")
    return tuple(combinations(range(count), tested))


def paths(count: int, tested: int) -> NDArray[np.int64]:
    """The split that each of the ``C(N - 1, k - 1)`` paths takes each period's predictions from ``[paths, periods]``.

    Path ``p`` takes for a period the ``p``-th split that tests it, so that every prediction is used exactly once.
    """
    by_period: list[list[int]] = [[] for _ in range(count)]
    for number, chosen in enumerate(splits(count, tested)):
        for period in chosen:
            by_period[period].append(number)
    return np.array(by_period, dtype=np.int64).T


def parts(
    usable: range,
    test: Sequence[range],
    *,
    horizons: Sequence[int],
    embargo_days: int,
    validation_days: int,
) -> Parts:
    """Train, validation and test days of the split that tests some stretches of days.

    Each label is fitted if its own span allows it. Validation is cut off the training side: the newest stretch of days
    free for all labels, with room for it and as many days before. It is purged against the test as the training is, and
    the training against both; it never takes a test day.

    Args:
        usable: days that may be trained on or tested.
        test: stretches of days tested, in order.
        horizons: of the labels, in trading days.
        embargo_days: whole trading days between spans.
        validation_days: days to choose on; half of the longest free stretch where none has room for twice as many.
    """
    every = np.arange(usable.start, usable.stop)

    free = reach(every, horizons, test, embargo_days=embargo_days) == max(horizons)
    runs = stretches(every[free].tolist())
    wanted = min(validation_days, max((len(run) for run in runs), default=0) // 2)
    run = next((run for run in reversed(runs) if len(run) >= 2 * wanted), range(0))
    validation = range(run.stop - wanted, run.stop)
    fitted = reach(every, horizons, [*test, validation], embargo_days=embargo_days)
    train = {day: longest for day, longest in zip(every.tolist(), fitted.tolist(), strict=True) if longest}
    return Parts(train, tuple(validation), tuple(day for stretch in test for day in stretch))


def path_of_periods(names: Sequence[str]) -> dict[tuple[str, str], int]:
    """The path that each split's predictions of each period it tests belong to.

    Args:
        names: keys of all splits of one choice of periods, such as ``cv_2019h1_2020h2``.

    >>> path_of_periods(["cv_2019_2020", "cv_2019_2021", "cv_2020_2021"])["cv_2020_2021", "2020"]
    1
    """
    tested = {name: name.removeprefix(PREFIX).split("_") for name in names}
    periods = sorted({period for chosen in tested.values() for period in chosen}, key=period_bounds)
    width = len(next(iter(tested.values())))
    numbered = paths(len(periods), width)
    order = {tuple(periods[group] for group in chosen): n for n, chosen in enumerate(splits(len(periods), width))}
    return {
        (name, period): int(np.flatnonzero(numbered[:, periods.index(period)] == order[tuple(chosen)])[0])
        for name, chosen in tested.items()
        for period in chosen
    }


def combinatorial_fold(
    name: str, days: Sequence[date], names: Sequence[int], horizons: Sequence[int], settings: FoldSettings
) -> Fold:
    """The split of a key such as ``cv_2019h1_2020h2`` over the trading days there are.

    Args:
        name: its key.
        days: trading days, increasing.
        names: universe members on each of them.
        horizons: label horizons in trading days; each label is purged by its own.

    Raises:
        DataError: a tested period has no days, or too few days are left to train on.
    """
    purge = max(horizons)
    periods = name.removeprefix(PREFIX).split("_")
    test = [_period(name, period, days) for period in periods]
    first = next((position for position, count in enumerate(names) if count >= settings.min_names), len(days))
    first = max(first, settings.lookback_days)
    last = max(bisect_right(days, period_bounds(period)[1]) for period in settings.periods)
    chosen = parts(
        range(first, last),
        test,
        horizons=horizons,
        embargo_days=settings.embargo_days,
        validation_days=settings.validation_days,
    )
    whole = sum(longest == purge for longest in chosen.train.values())
    if whole < settings.min_train_days or not chosen.validation:
        raise DataError(
            f"Fold {name} has {whole} train days with all their labels and {len(chosen.validation)} validation days "
            f"left of {last} days to {days[last - 1]}, and needs {settings.min_train_days} to train "
            f"(folds.min_train_days). Every tested stretch costs {purge} + {settings.embargo_days} days on either "
            "side: name longer or more folds.periods, test fewer of them (folds.tested_periods), or extend the "
            "source's dates."
        )
    window = range(max(0, first - settings.lookback_days), min(len(days), last + purge))
    judged = {*chosen.validation, *chosen.test}
    return Fold(
        name=name,
        window_dates=tuple(days[window.start : window.stop]),
        roles=tuple(_roles(window, first, chosen, horizons)),
        reach=tuple(chosen.train.get(day, purge if day in judged else 0) for day in window),
        purge_days=purge,
        embargo_days=settings.embargo_days,
    )


def _period(name: str, period: str, days: Sequence[date]) -> range:
    first, last = period_bounds(period)
    found = range(bisect_left(days, first), bisect_right(days, last))
    if not found:
        raise DataError(
            f"Fold {name} tests {period}, in which the data have no trading day: they run from {days[0]} to "
            f"{days[-1]}. Name periods within them (folds.periods), or extend the source's dates."
        )
    return found


def _roles(window: range, first: int, chosen: Parts, horizons: Sequence[int]) -> Iterator[Role]:
    """The role of each day of the window; a day that is neither is purge if its labels or an evaluated one's touch."""
    train, validation, test = chosen.train, set(chosen.validation), set(chosen.test)
    evaluated = [*stretches(chosen.validation), *stretches(chosen.test)]
    last = max(*chosen.test, *chosen.train, *chosen.validation)
    for day in window:
        if day in train:
            yield "train"
        elif day in validation:
            yield "validation"
        elif day in test:
            yield "test"
        elif day < first:
            yield "lookback"
        elif day > last:
            yield "resolution"
        elif any(stretch.start - min(horizons) <= day < stretch.stop + max(horizons) for stretch in evaluated):
            yield "purge"
        else:
            yield "embargo"
