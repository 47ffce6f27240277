"""The choice of edges: symmetric, capped, strongest first, and the same as the plain greedy loop."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.correlation_graph.neighbours import select_edges


def symmetric(seed: int, names: int, decimals: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    upper = np.triu(np.round(rng.uniform(-1, 1, (names, names)), decimals), 1)
    full = upper + upper.T
    np.fill_diagonal(full, np.nan)
    hidden = np.triu(rng.random(full.shape) < 0.1, 1)
    full[hidden | hidden.T] = np.nan
    return full


def greedy(correlation: np.ndarray, threshold: float, k: int) -> list[tuple[int, int]]:
    """The definition, pair by pair."""
    names = len(correlation)
    pairs = [
        (i, j)
        for i in range(names)
        for j in range(i + 1, names)
        if np.isfinite(correlation[i, j]) and abs(correlation[i, j]) >= threshold
    ]
    pairs.sort(key=lambda pair: (-abs(correlation[pair]), *pair))
    proposals: set[tuple[int, int]] = set()
    for name in range(names):
        proposals |= set([pair for pair in pairs if name in pair][:k])
    room = [k] * names
    taken = []
    for i, j in (pair for pair in pairs if pair in proposals):
        if room[i] and room[j]:
            room[i] -= 1
            room[j] -= 1
            taken.append((i, j))
    return taken


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(2, 25), st.integers(1, 6), st.sampled_from([0.0, 0.3, 0.7]), st.integers(1, 6)
)
def test_the_rounds_take_exactly_what_the_greedy_loop_takes(
    seed: int, names: int, k: int, threshold: float, decimals: int
) -> None:
    correlation = symmetric(seed, names, decimals)
    first, second, value = select_edges(correlation, threshold=threshold, max_neighbours=k)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == greedy(correlation, threshold, k)
    degree = np.bincount(np.r_[first, second], minlength=names)
    assert degree.max(initial=0) <= k
    np.testing.assert_array_equal(value, correlation[first, second])
    assert (np.abs(value) >= threshold).all()


def test_signs_are_kept_and_strength_is_absolute() -> None:
    correlation = np.array([[np.nan, -0.9, 0.5], [-0.9, np.nan, 0.2], [0.5, 0.2, np.nan]])
    first, second, value = select_edges(correlation, threshold=0.3, max_neighbours=1)
    assert (first.tolist(), second.tolist(), value.tolist()) == ([0], [1], [-0.9])


def test_nothing_above_the_threshold_gives_no_edge() -> None:
    first, second, value = select_edges(np.full((4, 4), np.nan), threshold=0.0, max_neighbours=3)
    assert len(first) == len(second) == len(value) == 0


def test_ties_go_to_the_earlier_names() -> None:
    correlation = np.full((5, 5), 0.5)
    np.fill_diagonal(correlation, np.nan)
    first, second, _ = select_edges(correlation, threshold=0.3, max_neighbours=1)
    # 0 proposes 1 and everybody else proposes 0, so 2 … 4 find their only choice taken.
    assert (first.tolist(), second.tolist()) == ([0], [1])
