"""Colours of the report, and how a matplotlib figure becomes a picture or part of a page.

Figures are drawn once in the light palette. In the page the colours become CSS variables, so that the same drawing
is readable on a light and on a dark ground.
"""

import io
import re
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.portfolio_report.inputs import NETWORK, ORACLE, RANDOM

INK, MUTED, GRID = "#1c2430", "#667080", "#e3e7ec"
MODEL_COLOURS = {
    NETWORK: "#1f5fd0",
    "lightgbm": "#d0701f",
    "lightgbm_rank": "#b8892b",
    "ridge": "#23876a",
    "momentum_120d": "#b04a78",
    "reversal_1d": "#8a63b8",
    RANDOM: "#8d96a3",
    ORACLE: "#3d4757",
}
ROLE_COLOURS = {
    "train": "#b9c9e6",
    "validation": "#e9c58b",
    "test": "#1f5fd1",
    "gap": "#e9ecf0",
}
LIGHT: Mapping[str, str] = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    **{f"model-{name}": colour for name, colour in MODEL_COLOURS.items()},
    **{f"role-{name}": colour for name, colour in ROLE_COLOURS.items()},
}
DARK: Mapping[str, str] = {
    "ink": "#e8ecf2",
    "muted": "#9aa5b4",
    "grid": "#2c3542",
    f"model-{NETWORK}": "#6fa3ff",
    "model-lightgbm": "#f0a35e",
    "model-lightgbm_rank": "#dfbe6a",
    "model-ridge": "#5cc7a2",
    "model-momentum_120d": "#e58fb4",
    "model-reversal_1d": "#bd9ae6",
    f"model-{RANDOM}": "#8d96a3",
    f"model-{ORACLE}": "#cdd5e0",
    "role-train": "#3b4d70",
    "role-validation": "#8d6c31",
    "role-test": "#6fa3ff",
    "role-gap": "#262e39",
}
TEXT_SIZE = 10.5


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure (inches) with one quiet pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, length=0, pad=6, labelsize=TEXT_SIZE)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def legend(axes: Axes) -> None:
    """A legend above the axes, in as many columns as the figure is wide for."""
    names = len(axes.get_legend_handles_labels()[1])
    columns = max(min(names, int(width_of(axes) / 1.6)), 1)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        fontsize=TEXT_SIZE,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def width_of(axes: Axes) -> float:
    """Width of the figure that the axes stand in, in inches."""
    figure = axes.get_figure(root=True)
    return 0.0 if figure is None else float(figure.get_figwidth())


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white."""
    figure.set_facecolor("white")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def svg(figure: Figure, title: str) -> str:
    """The figure as an inline SVG without ground, fixed size or date, its colours as CSS variables.

    Args:
        title: read out to those who cannot see the picture.
    """
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    stream = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gogooku"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # several figures share one page
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)  # hundredths of a point are finer than any screen
    for name, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{name})")
    opening, rest = text.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{title}">{rest}'
