"""Pictures of a training: its curves with the phases, and the learning rate that it followed."""

from collections.abc import Mapping, Sequence
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
from model.trained_model.artefact import ASSET, CONFIG, INSIGHT, METRICS

if TYPE_CHECKING:
    from model.settings.root import Settings

Record = dict[str, Any]
"""What the training noted of one epoch."""

_PARTS = {"ranking": ("rank_ic", "cs_ic", "sharpe"), "error": ("pointwise", "pinball", "direction")}
"""Losses that look at the order of a day's names, and losses that look at each name."""
_MOST_FEATURES = 20
_PHASE_COLOURS = (canvas.GREY, canvas.GREEN, canvas.ORANGE, canvas.PURPLE, canvas.SKY)


def draw_curves(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Loss and validation RankIC by epoch, as PNG."""
    metrics = store.read_json(ASSET, METRICS, partition)
    training = store.read_json(ASSET, CONFIG, partition)["training"]
    own = {phase["name"]: phase["loss"] for phase in training.get("phases", ())}
    return canvas.png(curves_figure(metrics["history"], training["loss"], metrics["best_epoch"], own))


def draw_rate(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Learning rate of every step, as PNG."""
    metrics = store.read_json(ASSET, METRICS, partition)
    return canvas.png(rate_figure(metrics["rates"], metrics["history"]))


def draw_selection(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Mean variable selection weight of the features, as PNG."""
    return canvas.png(selection_figure(store.read_json(ASSET, INSIGHT, partition)))


def draw_attention(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Mean attention on the days of the window, as PNG."""
    return canvas.png(attention_figure(store.read_json(ASSET, INSIGHT, partition)))


def selection_figure(insight: dict[str, Any]) -> Figure:
    """Bars of the features with the largest selection weights, and the weight that all would have if equal.

    Args:
        insight: ``selection``, ``days`` and ``rows`` of ``insight.look_into``; a network without variable selection
            has none, and the picture says so.
    """
    title = f"Which features does the network select? Mean of {insight['days']} validation days"
    figure, axes = canvas.sheet(title)
    canvas.name_axes(axes, "selection weight (%)", "")
    if not insight["rows"] or insight["selection"] is None:
        canvas.say(axes, "network.variable_selection is off" if insight["rows"] else "no validation day")
        return figure
    weights = sorted(insight["selection"].items(), key=lambda pair: -pair[1])[:_MOST_FEATURES][::-1]
    places = np.arange(len(weights))
    axes.barh(places, [100 * weight for _, weight in weights], color=canvas.BLUE)
    axes.set_yticks(places, [name for name, _ in weights], fontsize=7.5)
    equal = 100 / len(insight["selection"])
    axes.axvline(equal, color=canvas.INK, linestyle="--", linewidth=1.1, label=f"all {len(insight['selection'])} alike")
    axes.grid(False, axis="y")
    canvas.legend(axes, "lower right")
    return figure


def attention_figure(insight: dict[str, Any]) -> Figure:
    """Bars of the attention on each day of the window, and what each would have if all were alike."""
    title = f"Which days of the window does the network attend to? Mean of {insight['days']} validation days"
    figure, axes = canvas.sheet(title)
    canvas.name_axes(axes, "days before the prediction", "attention (%)")
    if not insight["rows"]:
        canvas.say(axes, "no validation day")
        return figure
    weights = 100 * np.array(insight["attention"])
    axes.bar(np.arange(len(weights)) - len(weights) + 1, weights, color=canvas.BLUE)
    equal = 100 / len(weights)
    axes.axhline(equal, color=canvas.INK, linestyle="--", linewidth=1.1, label=f"all {len(weights)} alike")
    axes.set_ylim(0.0, 1.2 * float(weights.max()))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    canvas.legend(axes, "upper left")
    return figure


def curves_figure(
    history: list[Record], weights: Mapping[str, Any], best: int, own: Mapping[str, Mapping[str, Any]] | None = None
) -> Figure:
    """Train losses on the left, validation RankIC by horizon on the right, both over epochs.

    A line of losses ends where a phase weighs them in another way: sums of other weights say nothing of each other.

    Args:
        weights: weight of each loss, by its name without ``loss_``, and ``horizon_weights``.
        best: number of the kept epoch, from 1; 0 where none was kept.
        own: what a phase changes of the weights, by its name; None there for what it leaves.
    """
    figure, (left, right) = canvas.sheet("Does the training learn, and does it carry over?", 1, 2)
    canvas.name_axes(left, "epoch", "weighted train loss (1 = first epoch of a line)")
    canvas.name_axes(right, "epoch", "validation RankIC (mean of the days)")
    if not history:
        canvas.say(left, "no epoch yet")
        canvas.say(right, "no epoch yet")
        return figure
    epochs = np.array([record["epoch"] for record in history])
    _loss_lines(left, history, weights, own or {})
    _rank_ic_lines(right, epochs, history)
    for axes in (left, right):
        if best:
            axes.axvline(best, ymax=0.84, color=canvas.INK, linestyle="--", linewidth=1.1, label=f"kept: epoch {best}")
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        low, high = axes.get_ylim()
        axes.set_ylim(low - (0.32 if axes is left else 0.22) * (high - low), high + 0.12 * (high - low))
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


def _loss_lines(
    axes: Axes, history: list[Record], weights: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
) -> None:
    colours = {"ranking": canvas.BLUE, "error": canvas.RED}
    for part, names in _PARTS.items():
        label = f"{part}: {', '.join(names)}"
        for epochs, sums in _stretches(history, names, weights, own):
            axes.plot(epochs, np.array(sums) / sums[0], color=colours[part], marker="o", markersize=3.5, label=label)
            label = "_"  # the legend names a part once


def _stretches(
    history: list[Record], names: Sequence[str], weights: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
) -> list[tuple[list[int], list[float]]]:
    """Epochs and weighted sums of some losses wherever epochs in a row weigh them alike, from the first sum above 0."""
    found = []
    changed = {phase: {k: v for k, v in change.items() if v is not None} for phase, change in own.items()}
    of_epoch = [{**weights, **changed.get(record["phase"], {})} for record in history]
    asked = [([each[name] for name in names], each.get("horizon_weights")) for each in of_epoch]
    for (used, _), group in groupby(zip(asked, history, strict=True), key=lambda pair: pair[0]):
        points = [(record["epoch"], _weighted_sum(record, dict(zip(names, used, strict=True)))) for _, record in group]
        while points and not points[0][1] > 0:
            points.pop(0)
        if points:
            found.append(([epoch for epoch, _ in points], [value for _, value in points]))
    return found


def _weighted_sum(record: Record, weights: Mapping[str, float]) -> float:
    """Not a number where the epoch recorded none of these losses, as where none of them has a weight."""
    recorded = [weight * record[f"loss_{name}"] for name, weight in weights.items() if f"loss_{name}" in record]
    return float(sum(recorded)) if recorded else float("nan")


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
    Picture("selection", "Variable selection weights", draw_selection),
    Picture("attention", "Attention on the days of the window", draw_attention),
    Picture("learning_rate", "Learning rate by step", draw_rate),
)
