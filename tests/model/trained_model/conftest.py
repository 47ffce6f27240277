"""A small panel with a planted signal, made of plain arrays."""

from collections.abc import Callable

import numpy as np
import pytest

from model.atft_tensors.panel import FoldPanel


def panel_with(
    *,
    days: int = 40,
    names: int = 12,
    features: int = 5,
    lookback: int = 6,
    horizons: tuple[int, ...] = (1, 5),
    seed: int = 1,
) -> FoldPanel:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((days, names, features)).astype(np.float32)
    own = (0.02 * rng.standard_normal((days, names))).astype(np.float32)
    noise = rng.standard_normal((days, names, len(horizons)))
    y = (0.02 * (0.6 * x[:, :, :1] + noise)).astype(np.float32)
    member = rng.random((days, names)) < 0.9
    y[rng.random(y.shape) < 0.05] = np.nan
    first = np.arange(lookback - 1, days)
    cut, late = int(len(first) * 0.6), int(len(first) * 0.8)
    pairs = np.array([(s, t) for s in range(names) for t in range(names) if s != t and (s + t) % 4 == 0], np.int64).T
    half = pairs.shape[1] // 2 + 3
    correlation = rng.uniform(-1, 1, pairs.shape[1]).astype(np.float32)
    edges = np.concatenate([pairs, pairs[:, :half]], axis=1)
    signed = np.concatenate([correlation, correlation[:half]])
    return FoldPanel(
        dates=np.arange(days, dtype=np.int32) + 16_000,
        codes=tuple(f"S{n:03d}" for n in range(names)),
        features=tuple(f"f{n}" for n in range(features)),
        horizons=horizons,
        x=x,
        present=np.ones_like(member),
        member=member,
        y=y,
        target_scale=np.full(len(horizons), 0.02, np.float32),
        own_return=own,
        train=first[:cut],
        validation=first[cut:late],
        test=first[late:],
        graph_start=np.array([2, days // 2], np.int64),
        graph_ptr=np.array([0, pairs.shape[1], edges.shape[1]], np.int64),
        edge_index=edges,
        edge_attr=np.stack([signed, np.abs(signed), (signed > 0).astype(np.float32), signed / 2], axis=1),
    )


@pytest.fixture
def make_panel() -> Callable[..., FoldPanel]:
    """Builds panels of any size; defaults are as small as a training can be."""
    return panel_with
