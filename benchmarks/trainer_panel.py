"""A panel of random numbers of any size, with a graph, for timing the trainer: figures do not depend on the values."""

import numpy as np

from model.atft_tensors.panel import FoldPanel


def synthetic_panel(
    *,
    train_days: int,
    names: int,
    features: int,
    lookback: int,
    horizons: tuple[int, ...] = (1, 5, 10, 20),
    validation_days: int = 1,
    neighbours: int = 10,
    seed: int = 0,
) -> FoldPanel:
    """Every name a member on every day, no label missing, each name with ``neighbours`` edges that point to it."""
    rng = np.random.default_rng(seed)
    days = lookback - 1 + train_days + validation_days
    source = np.concatenate([rng.permutation(names - 1)[:neighbours] for _ in range(names)])
    target = np.repeat(np.arange(names), min(neighbours, names - 1))
    source = source + (source >= target)  # never the name itself
    correlation = rng.uniform(-1, 1, len(target)).astype(np.float32)
    used = np.arange(lookback - 1, days)
    return FoldPanel(
        dates=np.arange(days, dtype=np.int32) + 16_000,
        codes=tuple(f"S{n:05d}" for n in range(names)),
        features=tuple(f"f{n}" for n in range(features)),
        horizons=horizons,
        x=rng.standard_normal((days, names, features), dtype=np.float32),
        present=np.ones((days, names), np.bool_),
        member=np.ones((days, names), np.bool_),
        y=0.02 * rng.standard_normal((days, names, len(horizons)), dtype=np.float32),
        target_scale=np.full(len(horizons), 0.02, np.float32),
        own_return=0.02 * rng.standard_normal((days, names), dtype=np.float32),
        train=used[:train_days],
        validation=used[train_days:],
        test=used[:0],
        graph_start=np.zeros(1, np.int64),
        graph_ptr=np.array([0, len(target)], np.int64),
        edge_index=np.stack([source, target]).astype(np.int64),
        edge_attr=np.stack(
            [correlation, np.abs(correlation), (correlation > 0.5).astype(np.float32), 0.0 * correlation], axis=1
        ),
    )
