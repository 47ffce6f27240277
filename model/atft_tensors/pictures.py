"""The picture of the tensors: how many samples each day gives, and how many of them have labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.atft_tensors.panel import INDEX, ROLES, STATS
from model.atft_tensors.shards import MonthShards, read_month
from model.atft_tensors.stage import ASSET, shard_directory
from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings


@dataclass(frozen=True)
class Coverage:
    """Samples of each of the T days of the window."""

    dates: NDArray[np.int32]
    """[T] days since 1970-01-01."""
    samples: NDArray[np.int64]
    """[T] names in the universe."""
    labelled: NDArray[np.int64]
    """[T] those of them whose label of the longest horizon is known."""
    roles: dict[str, NDArray[np.int64]]
    """Role to positions of its days."""
    horizon: int


def draw_coverage(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Samples per day by role, as PNG."""
    return canvas.png(coverage_figure(read_coverage(store, partition)))


def read_coverage(store: Store, partition: str | None) -> Coverage:
    """Counts from the membership and label shards; the features are mapped and not read."""
    index: dict[str, Any] = store.read_json(ASSET, INDEX, partition)
    stats = load_file(store.path(ASSET, STATS, partition))
    samples, labelled = [], []
    for entry in index["shards"]:
        month = read_month(shard_directory(store), MonthShards(**entry), verify=False)
        samples.append(month.member.sum(axis=1))
        labelled.append((month.member & np.isfinite(month.labels[:, :, -1])).sum(axis=1))
    roles = {role: stats[role] for role in ROLES}
    return Coverage(
        stats["dates"], np.concatenate(samples), np.concatenate(labelled), roles, int(index["horizons"][-1])
    )


def coverage_figure(coverage: Coverage) -> Figure:
    """The samples of the train, validation and test days as areas, the labelled ones as a line."""
    figure, axes = canvas.sheet("How many samples does each day give, and how many have a label?")
    canvas.name_axes(axes, "day of the window", "samples (names in the universe)")
    if not len(coverage.dates):
        canvas.say(axes, "no day in the window")
        return figure
    x = coverage.dates.astype(np.float64)
    for role, days in coverage.roles.items():
        total = int(coverage.samples[days].sum())
        label = f"{role}: {len(days)} days, {total:,} samples"
        colour = canvas.ROLE_COLOURS[role]
        axes.fill_between(x[days], coverage.samples[days], color=colour, alpha=0.45, linewidth=0, label=label)
    used = np.sort(np.concatenate(list(coverage.roles.values())))
    line = np.full(len(x), np.nan)
    line[used] = coverage.labelled[used]
    label = f"with a label, horizon {coverage.horizon} days"
    axes.plot(x, line, color=canvas.INK, linewidth=1.2, label=label)
    axes.set_xlim(x[0] - 3.0, x[-1] + 3.0)
    axes.set_ylim(bottom=0)
    canvas.date_axis(axes)
    canvas.top_legend(axes, 2)
    return figure


PICTURES: tuple[Picture, ...] = (Picture("coverage", "Samples per day by role", draw_coverage),)
