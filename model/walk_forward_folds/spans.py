"""Purging by spans: which samples may be trained on beside days that are evaluated.

A sample is a day and a horizon. It is *known* at the close of its day and *resolves* at the close of the day its label
needs, so its span is ``known … resolved`` in positions of trading days. A stretch of evaluated days speaks of prices
up to the day on which its last, longest label resolves. A sample may be trained on if its span and that stretch do not
touch, and ``embargo_days`` whole trading days lie between them (López de Prado 2018, ch. 7.4: purging and embargo, here
on both sides).

>>> import numpy as np
>>> known = np.arange(12)
>>> usable = trainable(known, known + 2, [range(5, 7)], longest_horizon=3, embargo_days=1)
>>> known[usable].tolist()
[0, 1, 11]

The label of day 1 resolves on day 3; day 4 is the embargo; days 5 and 6 are evaluated, and the last label of three days
resolves on day 9; day 10 is the embargo again.

A sample of a shorter horizon has a shorter span, so on a day whose long label may not be trained on the short one may.
The reverse never holds, so one number a day says which of its labels may be: its *reach*, the longest horizon of them.

>>> reach(known, (1, 2, 3), [range(5, 7)], embargo_days=1).tolist()
[3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3]
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]


def trainable(
    known: Positions, resolved: Positions, evaluated: Sequence[range], *, longest_horizon: int, embargo_days: int
) -> Flags:
    """Which samples may be trained on.

    Args:
        known, resolved: ends of each sample's span, positions of trading days ``[samples]``.
        evaluated: stretches of days on which something is chosen or judged (validation, test).
        longest_horizon: trading days that the longest evaluated label takes to resolve.
        embargo_days: whole trading days that must lie between.

    Raises:
        ValueError: a sample resolves before it is known.
    """
    if (resolved < known).any():
        raise ValueError("a sample cannot resolve before it is known")
    usable = np.ones(known.shape, dtype=np.bool_)
    for stretch in evaluated:
        if len(stretch):
            before = resolved + embargo_days < stretch.start
            after = known > stretch.stop - 1 + longest_horizon + embargo_days
            usable &= before | after
    return usable


def reach(days: Positions, horizons: Sequence[int], evaluated: Sequence[range], *, embargo_days: int) -> Positions:
    """The longest horizon over which each day's label may be trained on ``[days]``, in trading days; 0 for none.

    Args:
        days: positions of trading days.
        horizons: those of the labels; evaluated days are judged over all of them.
        evaluated, embargo_days: as for :func:`trainable`.
    """
    found = np.zeros(days.shape, dtype=np.int64)
    for horizon in sorted(horizons):
        usable = trainable(days, days + horizon, evaluated, longest_horizon=max(horizons), embargo_days=embargo_days)
        found[usable] = horizon
    return found


def stretches(positions: Sequence[int]) -> tuple[range, ...]:
    """Increasing positions as runs of consecutive ones.

    >>> stretches([2, 3, 4, 8, 9])
    (range(2, 5), range(8, 10))
    """
    found: list[range] = []
    for position in positions:
        if found and found[-1].stop == position:
            found[-1] = range(found[-1].start, position + 1)
        else:
            found.append(range(position, position + 1))
    return tuple(found)
