"""Pictures of the graph: how dense it is at each rebalance, and how the newest one's edges are spread."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from model.correlation_graph.stage import ASSET
from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings


def draw_density(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Edges and isolated names by rebalance, as PNG."""
    edges = store.read_table(ASSET, "edges.parquet", partition, ["rebalance", "correlation"])
    nodes = store.read_table(ASSET, "nodes.parquet", partition, ["rebalance", "degree"])
    return canvas.png(density_figure(edges, nodes))


def draw_degrees(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Degrees of the newest graph, as PNG."""
    nodes = store.read_table(ASSET, "nodes.parquet", partition, ["rebalance", "degree"])
    return canvas.png(degrees_figure(nodes, settings.graph.max_neighbours))


def density_figure(edges: pl.DataFrame, nodes: pl.DataFrame) -> Figure:
    """Pairs of neighbours by sign above, names and isolated names below; a bar for each rebalance.

    Args:
        edges: rebalance, correlation; every pair twice, once each way.
        nodes: rebalance, degree.
    """
    figure, (above, below) = canvas.sheet(
        "How dense is the graph at each rebalance?", 2, 1, sharex=True, height_ratios=[3, 2]
    )
    canvas.name_axes(above, "", "pairs of neighbours")
    canvas.name_axes(below, "rebalance", "names")
    if nodes.is_empty():
        canvas.say(above, "no graph yet")
        canvas.say(below, "")
        return figure
    sizes = nodes.group_by("rebalance").agg(names=pl.len(), isolated=(pl.col("degree") == 0).sum())
    pairs = edges.group_by("rebalance").agg(
        together=(pl.col("correlation") > 0).sum() / 2, against=(pl.col("correlation") <= 0).sum() / 2
    )
    table = sizes.join(pairs, on="rebalance", how="left").fill_null(0).sort("rebalance")
    x = canvas.dates(table["rebalance"])
    width = 0.7 * float(np.diff(x).min()) if len(x) > 1 else 10.0
    canvas.stacked(
        above,
        x,
        [
            ("move together (correlation > 0)", canvas.values(table["together"]), canvas.BLUE),
            ("move against each other (< 0)", canvas.values(table["against"]), canvas.ORANGE),
        ],
        width,
    )
    linked = canvas.values(table["names"]) - canvas.values(table["isolated"])
    canvas.stacked(
        below,
        x,
        [("with a neighbour", linked, canvas.SKY), ("isolated", canvas.values(table["isolated"]), canvas.RED)],
        width,
    )
    if edges.is_empty():
        canvas.say(above, "no two names are neighbours: see graph.threshold")
    for axes in (above, below):
        axes.grid(False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        canvas.top_legend(axes, 2)
    canvas.date_axis(below)
    return figure


def degrees_figure(nodes: pl.DataFrame, most: int) -> Figure:
    """Histogram of the newest graph's degrees.

    Args:
        nodes: rebalance, degree.
        most: the setting's limit of neighbours.
    """
    newest = nodes.filter(pl.col("rebalance") == pl.col("rebalance").max())
    of = "" if newest.is_empty() else f" The graph of {newest['rebalance'][0]}, {newest.height} names"
    figure, axes = canvas.sheet(f"How many neighbours has a name?{of}")
    canvas.name_axes(axes, "neighbours of a name", "names")
    if newest.is_empty():
        canvas.say(axes, "no graph yet")
        return figure
    degrees = newest["degree"].to_numpy()
    counts = np.bincount(degrees, minlength=most + 1)
    x = np.arange(len(counts))
    for label, chosen, colour in (("isolated", x == 0, canvas.RED), ("with a neighbour", x > 0, canvas.BLUE)):
        bars = axes.bar(x[chosen], counts[chosen], 0.8, color=colour, label=f"{label}: {counts[chosen].sum()}")
        axes.bar_label(bars, [str(count) if count else "" for count in counts[chosen]], fontsize=8.5, padding=2)
    axes.axvline(degrees.mean(), color=canvas.INK, linestyle="--", linewidth=1.2, label=f"mean {degrees.mean():.1f}")
    axes.xaxis.set_major_locator(MultipleLocator(-(-len(counts) // 25)))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(False, axis="x")
    canvas.top_legend(axes, 3)
    return figure


PICTURES: tuple[Picture, ...] = (
    Picture("density", "Edges and isolated names by rebalance", draw_density),
    Picture("degrees", "Degrees of the newest graph", draw_degrees),
)
