"""Pictures of a training: its curves with the phases, and the learning rate that it followed."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store
from model.trained_model.artefact import ASSET, CONFIG, METRICS

if TYPE_CHECKING:
    from model.settings.root import Settings

Record = dict[str, Any]
"""What the training noted of one epoch."""

_PARTS = {"ranking": ("rank_ic", "cs_ic", "sharpe"), "error": ("pointwise", "pinball", "direction")}
"""Losses that look at the order of a day's names, and losses that look at each name."""
_PHASE_COLOURS = (canvas.GREY, canvas.GREEN, canvas.ORANGE, canvas.PURPLE, canvas.SKY)


def draw_curves(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Loss and validation RankIC by epoch, as PNG."""
    metrics = store.read_json(ASSET, METRICS, partition)
    weights = store.read_json(ASSET, CONFIG, partition)["training"]["loss"]
    return canvas.png(curves_figure(metrics["history"], weights, metrics["best_epoch"]))


def draw_rate(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Learning rate of every step, as PNG."""
    metrics = store.read_json(ASSET, METRICS, partition)
    return canvas.png(rate_figure(metrics["rates"], metrics["history"]))


def curves_figure(history: list[Record], weights: dict[str, Any], best: int) -> Figure:
    """Train losses on the left, validation RankIC by horizon on the right, both over epochs.

    Args:
        weights: weight of each loss, by its name without ``loss_``.
        best: number of the kept epoch, from 1; 0 where none was kept.
    """
    figure, (left, right) = canvas.sheet("Does the training learn, and does it carry over?", 1, 2)
    canvas.name_axes(left, "epoch", "weighted train loss (1 = first epoch)")
    canvas.name_axes(right, "epoch", "validation RankIC (mean of the days)")
    if not history:
        canvas.say(left, "no epoch yet")
        canvas.say(right, "no epoch yet")
        return figure
    epochs = np.array([record["epoch"] for record in history])
    colours = {"ranking": canvas.BLUE, "error": canvas.RED}
    for part, names in _PARTS.items():
        sums = np.array([sum(weights[name] * record.get(f"loss_{name}", 0.0) for name in names) for record in history])
        if sums[0] > 0:
            label = f"{part}: {', '.join(names)}"
            left.plot(epochs, sums / sums[0], color=colours[part], marker="o", markersize=3.5, label=label)
    _rank_ic_lines(right, epochs, history)
    for axes in (left, right):
        if best:
            axes.axvline(best, ymax=0.84, color=canvas.INK, linestyle="--", linewidth=1.1, label=f"kept: epoch {best}")
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.22 * (high - low), high + 0.12 * (high - low))
        canvas.spans(axes, _phases(history, [1] * len(history), 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        canvas.legend(axes, "lower center", columns=1 if axes is left else 3)
    return figure


def rate_figure(rates: list[float], history: list[Record]) -> Figure:
    """The learning rate over the optimiser's steps, phases shaded."""
    figure, axes = canvas.sheet("Which learning rate did each step take?")
    canvas.name_axes(axes, "optimiser step", "learning rate")
    if not rates:
        canvas.say(axes, "no step yet")
        return figure
    axes.plot(np.arange(1, len(rates) + 1), rates, color=canvas.BLUE, linewidth=1.4)
    axes.set_ylim(0.0, 1.15 * max(rates))
    axes.set_xlim(0.5, len(rates) + 0.5)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    canvas.spans(axes, _phases(history, [int(record["steps"]) for record in history], 0.5))
    return figure


def _rank_ic_lines(axes: Axes, epochs: NDArray[Any], history: list[Record]) -> None:
    horizons = sorted({int(name.rsplit("_", 1)[1]) for record in history for name in record if _by_horizon(name)})
    for horizon, colour in zip(horizons, canvas.PALETTE, strict=False):
        axes.plot(epochs, _series(history, f"val_rank_ic_{horizon}"), color=colour, linewidth=1.1, label=f"{horizon} d")
    mean = _series(history, "val_rank_ic")
    axes.plot(epochs, mean, color=canvas.INK, linewidth=2.2, marker="o", markersize=3.5, label="mean")
    axes.axhline(0.0, color=canvas.INK, linewidth=0.8)


def _by_horizon(name: str) -> bool:
    return name.startswith("val_rank_ic_")


def _series(history: list[Record], name: str) -> NDArray[np.float64]:
    return np.array([record.get(name, np.nan) for record in history], np.float64)


def _phases(history: list[Record], lengths: list[int], start: float) -> list[tuple[float, float, str, str]]:
    """Stretches of the phases on an axis on which each record is as long as said."""
    found = []
    left = start
    for number, (name, group) in enumerate(groupby(zip(history, lengths, strict=True), key=lambda p: p[0]["phase"])):
        right = left + sum(length for _, length in group)
        colour = _PHASE_COLOURS[number % len(_PHASE_COLOURS)]
        found.append((left, right, str(name).replace("_", "\n"), colour))
        left = right
    return found


PICTURES: tuple[Picture, ...] = (
    Picture("curves", "Loss and validation RankIC by epoch", draw_curves),
    Picture("learning_rate", "Learning rate by step", draw_rate),
)
