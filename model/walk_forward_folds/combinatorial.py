"""Combinatorial purged cross-validation over the days of a panel (López de Prado 2018, ch. 12).

The days are cut into ``groups`` of nearly equal length. Each way of choosing ``test_groups`` of them is a split: it is
trained on the rest, purged and embargoed by spans (:mod:`model.walk_forward_folds.spans`), and predicts its test
groups. With N groups and k of them tested there are ``C(N, k)`` splits, every group is tested ``C(N - 1, k - 1)``
times, and the predictions make up that many whole *paths* through the history, each of them a backtest.

>>> splits(4, 2)
((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
>>> paths(4, 2).tolist()
[[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]

Path 0 takes the predictions of groups 0 and 1 from split 0, of group 2 from split 1 and of group 3 from split 2.

Unlike a walk-forward fold, a split also learns from days after those that it predicts: it says how much a result
depends on the one history that happened, not what could have been earned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from model.walk_forward_folds.spans import stretches, trainable


@dataclass(frozen=True)
class Parts:
    """Positions of the days of a split, each increasing."""

    train: tuple[int, ...]
    """Days of which the label of the shortest horizon may be fitted; see ``trainable`` for the longer ones."""
    validation: tuple[int, ...]
    test: tuple[int, ...]


def groups(first: int, stop: int, count: int) -> tuple[range, ...]:
    """The positions ``first`` … ``stop - 1`` in ``count`` consecutive groups; the earlier ones are the longer ones.

    >>> groups(10, 17, 3)
    (range(10, 13), range(13, 15), range(15, 17))
    """
    edges = [first + (index * (stop - first) + count - 1) // count for index in range(count + 1)]
    return tuple(range(low, high) for low, high in pairwise(edges))


def splits(count: int, tested: int) -> tuple[tuple[int, ...], ...]:
    """The groups that each split tests, in order.

    Raises:
        ValueError: no group, or every group, would be tested.
    """
    if not 1 <= tested < count:
        raise ValueError(f"of {count} groups, at least one and not all must be tested, not {tested}")
    return tuple(combinations(range(count), tested))


def path_count(count: int, tested: int) -> int:
    """Number of backtest paths: ``C(N - 1, k - 1)``."""
    return comb(count - 1, tested - 1)


def paths(count: int, tested: int) -> NDArray[np.int64]:
    """The split that each path takes each group's predictions from ``[paths, groups]``.

    Path ``p`` takes for a group the ``p``-th split that tests it, so that every prediction is used exactly once.
    """
    by_group: list[list[int]] = [[] for _ in range(count)]
    for number, chosen in enumerate(splits(count, tested)):
        for group in chosen:
            by_group[group].append(number)
    return np.array(by_group, dtype=np.int64).T


def parts(
    days: Sequence[range],
    tested: Sequence[int],
    *,
    horizons: Sequence[int],
    embargo_days: int,
    validation_days: int,
) -> Parts:
    """Train, validation and test days of the split that tests some of the groups.

    Validation is the newest stretch of ``validation_days`` days that may be trained on: cut off the training side,
    purged against the test like it, and the training is purged against both. It never takes a test day.

    Args:
        days: the groups, consecutive.
        tested: numbers of the groups tested.
        horizons: label horizons in trading days.
        embargo_days: whole trading days between spans.
        validation_days: days to choose on; fewer where no stretch is that long.
    """
    longest, shortest = max(horizons), min(horizons)
    every = np.arange(days[0].start, days[-1].stop)
    test = stretches([position for group in sorted(tested) for position in days[group]])
    # A validation day is judged by all horizons, so it must be clear of the test with the longest of them.
    free = every[trainable(every, every + longest, test, longest_horizon=longest, embargo_days=embargo_days)]
    runs = stretches(free.tolist())
    longest_run = max((len(run) for run in runs), default=0)
    wanted = min(validation_days, longest_run // 2)
    run = next((run for run in reversed(runs) if len(run) >= 2 * wanted), range(0))
    validation = range(run.stop - wanted, run.stop)
    evaluated = [*test, *([validation] if validation else [])]
    usable = trainable(every, every + shortest, evaluated, longest_horizon=longest, embargo_days=embargo_days)
    return Parts(tuple(every[usable].tolist()), tuple(validation), tuple(p for run in test for p in run))
