"""From correlations to a symmetric graph with at most k neighbours a name.

Every name proposes its k strongest partners. A proposal of either side is a candidate, and candidates are taken from
the strongest to the weakest as long as both ends have room. So the graph is symmetric, no name has more than k
neighbours, and an edge is missing only where one of its ends is full of stronger ones. The order is total: absolute
correlation, then the names' positions, so equal inputs give equal graphs.
"""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def select_edges(
    correlation: NDArray[np.float64], *, threshold: float, max_neighbours: int
) -> tuple[Indices, Indices, NDArray[np.float64]]:
    """Undirected edges, strongest first.

    Args:
        correlation: [N, N] symmetric, NaN where there is none.
        threshold: smallest absolute correlation.
        max_neighbours: most neighbours of a name.

    Returns:
        first [E] < second [E] (positions) and their signed correlation [E].
    """
    first, second = np.nonzero(np.triu(np.abs(correlation) >= threshold, 1))
    value = correlation[first, second]
    order = np.lexsort((second, first, -np.abs(value)))
    first, second, value = first[order], second[order], value[order]
    rank = _ranks(first, second)
    proposed = rank.min(axis=0) < max_neighbours
    first, second, value = first[proposed], second[proposed], value[proposed]
    taken = _take_strongest(first, second, len(correlation), max_neighbours)
    return first[taken], second[taken], value[taken]


def _ranks(first: Indices, second: Indices) -> Indices:
    """Rank [2, E] of each edge among those of its first and of its second end; edges come strongest first."""
    edges = len(first)
    ends = np.stack([first, second], axis=1).ravel()
    order = np.argsort(ends, kind="stable")
    grouped = ends[order]
    begins = np.r_[True, grouped[1:] != grouped[:-1]] if edges else np.zeros(0, np.bool_)
    start = np.flatnonzero(begins)
    rank = np.empty(2 * edges, np.int64)
    rank[order] = np.arange(2 * edges) - np.repeat(start, np.diff(np.r_[start, 2 * edges]))
    return rank.reshape(-1, 2).T


def _take_strongest(first: Indices, second: Indices, nodes: int, room_each: int) -> NDArray[np.bool_]:
    """Which edges the greedy choice takes, found in rounds of whole arrays.

    An edge that is among the strongest open ones of both ends, as many as each has room for, is taken by the greedy
    choice whatever happens to weaker ones; edges at a full end are dropped. Each round settles the strongest open
    edge at least, so the rounds end.
    """
    taken = np.zeros(len(first), np.bool_)
    room = np.full(nodes, room_each, np.int64)
    waiting = np.arange(len(first))
    while len(waiting):
        a, b = first[waiting], second[waiting]
        rank = _ranks(a, b)
        accepted = (rank[0] < room[a]) & (rank[1] < room[b])
        taken[waiting[accepted]] = True
        room -= np.bincount(a[accepted], minlength=nodes) + np.bincount(b[accepted], minlength=nodes)
        waiting = waiting[~accepted & (room[a] > 0) & (room[b] > 0)]
    return taken
