"""Quantiles of rolling windows, by sorting all windows of a block at once.

Sorting a window of its own for each day and code is a call of a sorting routine for a handful of numbers, and throws
away that tomorrow's window is nearly today's. Here the sorted values of a stretch of days are a list of arrays, the
smallest values of all stretches first, and a longer stretch is merged from two shorter ones that adjoin, which all
windows share: its halves where they are a window themselves, else those that
:func:`model.quality_features.windows.shorter` names. Merging is a fixed series of minima and maxima of whole arrays,
Batcher's odd-even merge, of which only what leads to the values asked for is computed: windows of 5, 10, 20, 30 and 60
days and two quantiles of each take some 320 array operations together.

Everything selects values, so it is exact: the bits are those of sorting each window, which is done where it is faster
(long windows, few days) and where a window lacks values.

Source: K. E. Batcher, Sorting networks and their applications (1968); for lists of any two lengths D. E. Knuth, The Art
of Computer Programming 3, section 5.3.4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array, shorter
from model.quality_features.windows_order import Counted, present_counts

_CELLS_AT_A_TIME = 8_192
"""Values of an array: 64 KiB, so that most of the lists of a merge stay in the processor's second-level cache."""
_SORTED_AT_A_TIME = 65_536
"""Values sorted together where each window is sorted on its own."""
_LONGEST_MERGED = 500
"""Days up to which it is thought about merging at all: its steps for longer windows are many."""
_CALL, _PICKED = 1_000.0, 0.45
"""Nanoseconds of a call, and of the smaller of two values."""
_TAKEN, _SORTED = 90.0, 0.28
"""Nanoseconds of a window that is sorted on its own, and of each of its values and each halving of it."""
_Wire = int


@dataclass(frozen=True)
class _Step:
    """One minimum or maximum of two wires, which becomes the next wire."""

    smaller: bool
    one: _Wire
    other: _Wire
    free: tuple[_Wire, ...]
    """Wires that nothing reads any more."""


@dataclass(frozen=True)
class _Stretch:
    """How some of a stretch's sorted values are merged from those of the two that it consists of.

    Wires are the recent stretch's values by rank, then the older one's, then the result of each step.
    """

    days: int
    recent: int
    older: int
    steps: tuple[_Step, ...]
    wire: Mapping[int, _Wire]
    """Of each rank wanted (0 for the smallest value)."""

    @property
    def inputs(self) -> frozenset[_Wire]:
        """The values of the two stretches that are read."""
        read = {wire for step in self.steps for wire in (step.one, step.other)} | set(self.wire.values())
        return frozenset(wire for wire in read if wire < self.days)

    @property
    def cost(self) -> int:
        """Array operations, and about as many again for each value that has to be there."""
        return len(self.steps) + 2 * len(self.inputs)


def quantile(
    x: Array, requests: Sequence[tuple[int, float]], rows: int | None = None
) -> dict[tuple[int, float], Counted]:
    """Quantiles of the values present, for pairs of window and probability, linear between neighbours.

    With n values sorted from 0 the quantile lies at ``q · (n - 1)`` (pandas' and NumPy's "linear").

    Args:
        x: ``[days, codes]``; values that are not finite are missing, and so are the days before the first row.
        requests: window in days and probability.
        rows: how many of the last days are wanted, None for all.
    """
    windows = tuple(sorted({window for window, _ in requests}))
    days, codes = len(x) if rows is None else min(rows, len(x)), x.shape[1]
    present = np.isfinite(x)
    counts = present_counts(present, windows, days)
    values = np.full((windows[-1] - 1 + days, codes), np.inf)  # missing values come last in every order
    read = min(len(values), len(x))
    np.copyto(values[len(values) - read :], x[len(x) - read :], where=present[len(x) - read :])
    values += 0.0  # never -0.0, which sorts beside 0.0 in any order
    found = {request: np.empty((days, codes)) for request in requests}
    wanted = frozenset((window, rank) for window, q in requests for rank in _neighbours(window, q)[:2])
    merged = _merging_pays(windows, wanted, values.shape, days)
    width = max(_CELLS_AT_A_TIME // len(values), 1)
    with np.errstate(invalid="ignore"):  # of values that are all missing
        for first in range(0, codes if merged else 0, width):
            part = slice(first, first + width)
            lists = _sorted_values(np.ascontiguousarray(values[:, part]), windows, wanted)
            for (window, q), target in found.items():
                low, high, place = _neighbours(window, q)
                _between(lists[window][low][-days:], lists[window][high][-days:], place, target[:, part])
    for window, count in counts.items():
        asked = {q: target for (other, q), target in found.items() if other == window}
        due = (count > 0.0) & (count < window) if merged else count > 0.0
        _sort_each(values[len(values) - days - window + 1 :], count, due, window, asked)
    return {request: Counted(target, counts[request[0]]) for request, target in found.items()}


def _merging_pays(
    windows: tuple[int, ...], wanted: frozenset[tuple[int, int]], shape: tuple[int, int], days: int
) -> bool:
    """Whether merging takes less time than sorting each window, which is so unless windows are long or days few.

    Args:
        windows: in days, sorted.
        wanted: windows and ranks.
        shape: days and codes that are read.
        days: days that are wanted.
    """
    if windows[-1] > _LONGEST_MERGED:
        return False
    cells, blocks = shape[0] * shape[1], -(-shape[1] // max(_CELLS_AT_A_TIME // shape[0], 1))
    steps = sum(len(stretch.steps) for stretch in _merges(windows, wanted))
    sorting = sum(_TAKEN + _SORTED * window * np.log2(window) for window in windows)
    return bool(steps * (_CALL * blocks + _PICKED * cells) < sorting * days * shape[1])


def _neighbours(window: int, q: float) -> tuple[int, int, float]:
    """Ranks of the two values beside a quantile of a complete window, and its place."""
    place = q * (window - 1)
    return int(place), min(int(place) + 1, window - 1), place


def _between(below: Array, above: Array, place: Array | float, out: Array | None = None) -> Array:
    step = above - below
    step *= place - np.floor(place)
    return np.add(below, step, out=out)


def _sort_each(values: Array, count: Array, due: NDArray[np.bool_], window: int, asked: Mapping[float, Array]) -> None:
    """Put in the quantiles of some windows, each sorted on its own, and NaN for those without a value.

    Args:
        values: ``[window - 1 + days, codes]``, infinite where missing.
        count: values present ``[days, codes]``.
        due: which windows, none of them empty ``[days, codes]``.
        window: in days.
        asked: for each probability, where its quantiles belong, ``[days, codes]``.
    """
    for target in asked.values():
        target[count == 0.0] = np.nan
    day, code = np.nonzero(due)
    windows = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)  # [days, codes, window], a view
    step = max(_SORTED_AT_A_TIME // window, 1)
    for first in range(0, len(day), step):
        cells = day[first : first + step], code[first : first + step]
        ordered = windows[cells]
        ordered.sort(axis=1)
        last = count[cells].astype(np.int64) - 1
        row = np.arange(len(last))
        for q, target in asked.items():
            place = q * last.astype(np.float64)
            low = place.astype(np.int64)
            target[cells] = _between(ordered[row, low], ordered[row, np.minimum(low + 1, last)], place)


def _sorted_values(
    values: Array, windows: tuple[int, ...], wanted: frozenset[tuple[int, int]]
) -> dict[int, dict[int, Array]]:
    """For each stretch the arrays of the ranks that are needed; each array ends on the last day.

    Args:
        values: ``[days, codes]`` without NaN.
        windows: in days, sorted.
        wanted: windows and ranks.
    """
    lists: dict[int, dict[int, Array]] = {1: {0: values}}
    for stretch in _merges(windows, wanted):
        recent, older = lists[stretch.recent], lists[stretch.older]
        days = len(values) - stretch.days + 1
        wires: list[Array | None] = [
            *(_at(recent, rank, slice(-days, None)) for rank in range(stretch.recent)),
            *(_at(older, rank, slice(days)) for rank in range(stretch.older)),
        ]
        for step in stretch.steps:
            pick = np.minimum if step.smaller else np.maximum
            wires.append(pick(_there(wires[step.one]), _there(wires[step.other])))
            for gone in step.free:
                wires[gone] = None
        lists[stretch.days] = {rank: _there(wires[wire]) for rank, wire in stretch.wire.items()}
    return lists


def _at(ranks: Mapping[int, Array], rank: int, days: slice) -> Array | None:
    return ranks[rank][days] if rank in ranks else None


def _there(wire: Array | None) -> Array:
    if wire is None:
        raise TypeError("a merge let go of a value that is wanted")
    return wire


@lru_cache(maxsize=64)
def _merges(windows: tuple[int, ...], wanted: frozenset[tuple[int, int]]) -> tuple[_Stretch, ...]:
    """Every merge that the wanted windows and ranks need, shorter stretches first."""
    ranks: dict[int, set[int]] = {}
    for window, rank in wanted:
        ranks.setdefault(window, set()).add(rank)
    made = []
    while any(days > 1 for days in ranks):
        days = max(ranks)
        halved = days % 2 == 0 and days // 2 in windows
        parts = (days // 2, days // 2) if halved else shorter(days)
        stretch = _merge(*parts, frozenset(ranks.pop(days)))
        for wire in stretch.inputs:
            recent = wire < stretch.recent
            own = ranks.setdefault(stretch.recent if recent else stretch.older, set())
            own.add(wire if recent else wire - stretch.recent)
        made.append(stretch)
    return tuple(reversed(made))


def _merge(recent: int, older: int, ranks: frozenset[int]) -> _Stretch:
    """The cheaper of two ways to the wanted ranks: what they need of a whole merge, or each by itself."""
    days = recent + older
    a, b = list(range(recent)), list(range(recent, days))
    gates = _Gates(days)
    merged = _odd_even(gates, a, b)
    whole = _Stretch(days, recent, older, *gates.leading_to({rank: merged[rank] for rank in ranks}))
    if sum(2 * min(rank, days - 1 - rank) for rank in ranks) > whole.cost:
        return whole
    gates = _Gates(days)
    each = {rank: _selected(gates, a, b, rank) for rank in ranks}
    return min(whole, _Stretch(days, recent, older, *gates.leading_to(each)), key=lambda way: way.cost)


def _odd_even(gates: "_Gates", a: list[_Wire], b: list[_Wire]) -> list[_Wire]:
    """Batcher's merge of two sorted lists of any lengths."""
    if not a or not b:
        return a + b
    if len(a) == len(b) == 1:
        return [gates.smaller(a[0], b[0]), gates.larger(a[0], b[0])]
    even, odd = _odd_even(gates, a[0::2], b[0::2]), _odd_even(gates, a[1::2], b[1::2])
    merged = even[:1]
    for one, other in zip(odd, even[1:], strict=False):
        merged += [gates.smaller(one, other), gates.larger(one, other)]
    both = min(len(odd), len(even) - 1)
    return merged + odd[both:] + even[1 + both :]


def _selected(gates: "_Gates", a: list[_Wire], b: list[_Wire], rank: int) -> _Wire:
    """One value of the merged list: the least of the larger of each pair that leaves ``rank`` values before it.

    Of the two ends of the lists, the one that is nearer.
    """
    if 2 * rank + 1 > len(a) + len(b):
        rank, first, then = len(a) + len(b) - 1 - rank, gates.smaller, gates.larger
        a, b = a[::-1], b[::-1]
    else:
        first, then = gates.larger, gates.smaller
    terms = []
    for taken in range(max(rank + 1 - len(b), 0), min(rank + 1, len(a)) + 1):  # of a; the other rank + 1 - taken of b
        ends = [*a[max(taken - 1, 0) : taken], *b[max(rank - taken, 0) : rank + 1 - taken]]
        terms.append(ends[0] if len(ends) == 1 else first(*ends))
    found = terms[0]
    for term in terms[1:]:
        found = then(found, term)
    return found


class _Gates:
    """Minima and maxima as they are asked for; a wire's number is its place."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._made: list[tuple[bool, _Wire, _Wire]] = []
        self._known: dict[tuple[bool, _Wire, _Wire], _Wire] = {}

    def smaller(self, one: _Wire, other: _Wire) -> _Wire:
        return self._wire(True, one, other)

    def larger(self, one: _Wire, other: _Wire) -> _Wire:
        return self._wire(False, one, other)

    def _wire(self, smaller: bool, one: _Wire, other: _Wire) -> _Wire:
        key = (smaller, min(one, other), max(one, other))
        if key not in self._known:
            self._known[key] = self._inputs + len(self._made)
            self._made.append(key)
        return self._known[key]

    def leading_to(self, wire: Mapping[int, _Wire]) -> tuple[tuple[_Step, ...], dict[int, _Wire]]:
        """The steps that these wires need, numbered anew, and the wires' new numbers."""
        needed = set(wire.values())
        for place in reversed(range(len(self._made))):
            if self._inputs + place in needed:
                needed.update(self._made[place][1:])
        new = {number: number for number in range(self._inputs)}
        kept = [place for place in range(len(self._made)) if self._inputs + place in needed]
        for place in kept:
            new[self._inputs + place] = len(new)
        results = {rank: new[number] for rank, number in wire.items()}
        steps: list[_Step] = []
        read = set(results.values())
        for place in reversed(kept):
            smaller, one, other = self._made[place]
            last = tuple({new[one], new[other]} - read)
            read.update(last)
            steps.append(_Step(smaller, new[one], new[other], last))
        return tuple(reversed(steps)), results
