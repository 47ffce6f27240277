"""The one splitter: by trading day, with purge and embargo. Plain functions of positions; no data, no clock.

Execution timing, in plain words
--------------------------------
A prediction dated ``t`` is made after the close of day ``t`` and knows nothing later. Its label over ``h`` trading
days is known at the close of day ``t + h``: that is the day it *resolves*. So a label of a train day that
resolves after the first validation day has seen prices which the validation is supposed not to know.

Between a label that is fitted, or chosen by, and the first day of the next part there are therefore, **strictly
between** its own day and that one,

* its horizon in trading days: on the last of them it resolves (the purge), and
* ``embargo_days`` more, on which nothing of the earlier part happens any more, and which weaken what features with
  long windows carry across.

Each label keeps this distance by its own horizon. On the last train days the short labels are fitted and the long ones
are not: the *reach* of a day is the longest horizon of its labels that are (:mod:`model.walk_forward_folds.spans`).
Validation days are cut off the training side (the test window never gives any up), and each is judged over all
horizons, so between validation and test lie the longest horizon and the embargo. ``live`` is no exception.

With 30 days, horizons of 1 and 2 and an embargo of 1, a test window from day 20 on:

>>> parts = split(20, 25, n_days=30, horizons=(1, 2), embargo_days=1, validation_days=4, train_days=None,
...               lookback_days=3)
>>> parts.train, parts.validation, parts.test
(range(3, 11), range(13, 17), range(20, 25))
>>> parts.reach[7:11], parts.reach[13:15]
((2, 2, 2, 1), (2, 2))
>>> parts.window
range(0, 27)

The last train day is 10. Its label over one day resolves on day 11, day 12 is the embargo, 13 is the first validation
day; its label over two days would resolve on day 12 and is left out. The last validation label resolves on day 18, and
20 is the first test day. The window starts three days before the training (``lookback_days``) and ends two days after
the test, when the last test label resolves. With ``train_days=5`` training starts later, and so does the window; five
days have all their labels:

>>> split(20, 25, n_days=30, horizons=(1, 2), embargo_days=1, validation_days=4, train_days=5, lookback_days=3).train
range(5, 11)

Where the first names appear on day 6 only, training starts there (``first_usable``):

>>> split(20, 25, n_days=30, horizons=(1, 2), embargo_days=1, validation_days=4, train_days=None, lookback_days=3,
...       first_usable=6).train
range(6, 11)

In the ``live`` fold the test days are the newest ones, whose longest label is still open. With 30 days and a longest
horizon of 2 these are days 28 and 29: the label of day 27 resolves on day 29, the last there is.

>>> live_test(30, purge_days=2)
range(28, 30)
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from model.errors import DataError
from model.walk_forward_folds.combinatorial import combinatorial_fold
from model.walk_forward_folds.fold import Fold, Role
from model.walk_forward_folds.periods import period_bounds
from model.walk_forward_folds.settings import COMBINATORIAL_PREFIX, LIVE, PREFIX, FoldSettings
from model.walk_forward_folds.spans import reach


@dataclass(frozen=True)
class Split:
    """Half-open ranges of day positions; ``window`` holds everything that the fold may read."""

    window: range
    train: range
    validation: range
    test: range
    reach: tuple[int, ...]
    """Of each day from position 0 on, the longest horizon of its labels that are used; 0 outside the three parts."""


def split(
    test_start: int,
    test_stop: int,
    *,
    n_days: int,
    horizons: Sequence[int],
    embargo_days: int,
    validation_days: int,
    train_days: int | None,
    lookback_days: int,
    first_usable: int = 0,
) -> Split:
    """Positions of a fold whose test days are ``test_start`` … ``test_stop - 1`` (see the module for the rule).

    Nothing is refused here: with too few days before the test, ``train`` is short or empty.

    Args:
        n_days: number of days there are.
        horizons: those of the labels, in trading days.
        train_days: days to train on with all their labels, or None for all from the first usable one.
        first_usable: first position on which training may happen.
    """
    longest = max(horizons)
    gap = longest + embargo_days
    test = range(test_start, test_stop)
    validation = range(test_start - gap - validation_days, test_start - gap)
    whole_stop = max(0, validation.start - gap)  # up to here every label is fitted
    earliest = max(lookback_days, first_usable)
    train_start = earliest if train_days is None else max(earliest, whole_stop - train_days)
    train_stop = max(0, validation.start - min(horizons) - embargo_days)
    train = range(min(train_start, train_stop), train_stop)
    window = range(max(0, train.start - lookback_days), min(n_days, test_stop + longest))
    used = np.zeros(n_days, np.int64)
    fitted = np.arange(train.start, train.stop)
    used[fitted] = reach(fitted, horizons, (validation, test), embargo_days=embargo_days)
    for judged in (validation, test):
        used[max(0, judged.start) : max(0, judged.stop)] = longest
    return Split(window, train, validation, test, tuple(used.tolist()))


def live_test(n_days: int, purge_days: int) -> range:
    """The newest days: those whose longest label does not resolve by the last day."""
    return range(max(0, n_days - purge_days), n_days)


def period_test(days: Sequence[date], period: str) -> range:
    """Positions of the days that lie in a period; fewer than the period has where the data end within it."""
    first, last = period_bounds(period)
    return range(bisect_left(days, first), bisect_right(days, last))


def make_fold(
    name: str, days: Sequence[date], names: Sequence[int], horizons: Sequence[int], settings: FoldSettings
) -> Fold:
    """One fold over the trading days there are.

    Args:
        name: its key, such as ``wf_2016h1``, ``cv_2016h1_2017h2`` or ``live``.
        days: trading days, increasing.
        names: universe members on each of them.
        horizons: label horizons in trading days; each label is purged by its own.

    Raises:
        DataError: the period has no days, or too few days lie before it.
    """
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise ValueError("days must be increasing and without repeats")
    if len(days) != len(names):
        raise ValueError(f"{len(days)} days and {len(names)} counts of names")
    if not days:
        raise DataError(f"Fold {name}: there are no trading days at all. Check the source and its dates.")
    if name.startswith(COMBINATORIAL_PREFIX):
        return combinatorial_fold(name, days, names, horizons, settings)
    purge = max(horizons)
    test = live_test(len(days), purge) if name == LIVE else period_test(days, name.removeprefix(PREFIX))
    if not test:
        raise DataError(
            f"Fold {name} has no test days: the data have {len(days)} trading days from {days[0]} to {days[-1]}, "
            f"none of them in the period. {_advice(days, names, horizons, settings)}"
        )
    parts = _split(test, len(days), names, horizons, settings)
    if _fitted(parts, purge) < settings.min_train_days:
        raise _too_short(name, parts, days, names, horizons, settings)
    return Fold(
        name=name,
        window_dates=tuple(days[parts.window.start : parts.window.stop]),
        roles=tuple(_role(position, parts, horizons) for position in parts.window),
        reach=parts.reach[parts.window.start : parts.window.stop],
        purge_days=purge,
        embargo_days=settings.embargo_days,
    )


def _split(test: range, n_days: int, names: Sequence[int], horizons: Sequence[int], settings: FoldSettings) -> Split:
    return split(
        test.start,
        test.stop,
        n_days=n_days,
        horizons=horizons,
        embargo_days=settings.embargo_days,
        validation_days=settings.validation_days,
        train_days=settings.train_days,
        lookback_days=settings.lookback_days,
        first_usable=next((position for position, count in enumerate(names) if count >= settings.min_names), n_days),
    )


def _fitted(parts: Split, purge: int) -> int:
    """Train days with all their labels."""
    return sum(parts.reach[position] == purge for position in parts.train)


def _too_short(
    name: str,
    parts: Split,
    days: Sequence[date],
    names: Sequence[int],
    horizons: Sequence[int],
    settings: FoldSettings,
) -> DataError:
    if max(names) < settings.min_names:
        return DataError(
            f"Fold {name} cannot train: no day has folds.min_names = {settings.min_names} universe members (the "
            f"fullest has {max(names)}). Lower folds.min_names, or widen universe.size or the source."
        )
    purge = max(horizons)
    gap = purge + settings.embargo_days
    return DataError(
        f"Fold {name} has {_fitted(parts, purge)} train days with all their labels and needs "
        f"{settings.min_train_days}: its test starts on {days[parts.test.start]}, {parts.test.start} trading days "
        f"after the data begin on {days[0]} (they end on {days[-1]}, {len(days)} days), and of those "
        f"{settings.lookback_days} are lookback, 2 × {gap} are purge and embargo, and {settings.validation_days} are "
        f"validation. {_advice(days, names, horizons, settings)}"
    )


def _advice(days: Sequence[date], names: Sequence[int], horizons: Sequence[int], settings: FoldSettings) -> str:
    """Which periods can be tested instead, and what makes more of them possible."""
    purge = max(horizons)
    halves = [f"{year}h{half}" for year in range(days[0].year, days[-1].year + 1) for half in (1, 2)]
    tests = {period: period_test(days, period) for period in halves}
    possible = [
        period
        for period, test in tests.items()
        if test and _fitted(_split(test, len(days), names, horizons, settings), purge) >= settings.min_train_days
    ]
    if not possible:
        return "The data are too short to test any: lower folds.min_train_days, or extend the source's dates."
    years = [period[:4] for period in possible if period.endswith("h1") and f"{period[:4]}h2" in possible]
    return (
        f"The data can test `--set folds.periods=[{','.join(years or possible)}]`; for more, lower "
        "folds.min_train_days or extend the source's dates."
    )


def _role(position: int, parts: Split, horizons: Sequence[int]) -> Role:
    if position in parts.train:
        return "train"
    if position in parts.validation:
        return "validation"
    if position in parts.test:
        return "test"
    if position < parts.train.start:
        return "lookback"
    if position >= parts.test.stop:
        return "resolution"
    resolved = (
        parts.train.stop + min(horizons) if position < parts.validation.start else parts.validation.stop + max(horizons)
    )
    return "purge" if position < resolved else "embargo"
