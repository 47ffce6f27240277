"""Colours of the report on top of those that all pages share, and how a figure becomes a PNG."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from model.pictures.html_style import BASE_DARK, BASE_LIGHT
from model.portfolio_report.inputs import NETWORK, ORACLE, RANDOM, SUBMITTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL_COLOURS = {
    NETWORK: "#1f5fd0",
    SUBMITTED: "#2060d2",
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
    "purge": "#d6dbe3",
    "embargo": "#eef1f5",
    "lookback": "#dfe8f6",
    "resolution": "#c9d9f7",
}
COST_COLOURS = {"commission": "#3f7ec8", "half_spread": "#5bb0a0", "impact": "#c9723d", "borrow": "#8f6fb4"}
LIGHT: Mapping[str, str] = {
    **BASE_LIGHT,
    **{f"model-{name}": colour for name, colour in MODEL_COLOURS.items()},
    **{f"role-{name}": colour for name, colour in ROLE_COLOURS.items()},
    **{f"cost-{name}": colour for name, colour in COST_COLOURS.items()},
}
DARK: Mapping[str, str] = {
    **BASE_DARK,
    f"model-{NETWORK}": "#6fa3ff",
    f"model-{SUBMITTED}": "#6fa3ff",
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
    "role-purge": "#4a5361",
    "role-embargo": "#333c49",
    "role-lookback": "#26324a",
    "role-resolution": "#2f4a7d",
    "cost-commission": "#6ea6e6",
    "cost-half_spread": "#74cdbb",
    "cost-impact": "#e8995f",
    "cost-borrow": "#b79adb",
}


def png(figure: "Figure") -> bytes:
    """The figure as a PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_facecolor("white")
    figure.set_dpi(110)
    stream = io.BytesIO()
    # One drawing, which lays out; ``savefig`` would draw once more only to lay out, to the same pixels.
    FigureCanvasAgg(figure).print_png(stream)  # type: ignore[no-untyped-call]
    return stream.getvalue()
