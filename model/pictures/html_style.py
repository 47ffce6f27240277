"""The look that all HTML pages share: colours for light and dark, the style sheet, and figures inside a page.

Figures are drawn once in the light colours. In the page the colours become CSS variables, so that the same drawing
is readable on a light and on a dark ground.
"""

import io
import re
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1c2430", "#667080", "#e3e7ec"
BASE_LIGHT: Mapping[str, str] = {"ink": INK, "muted": MUTED, "grid": GRID}
BASE_DARK: Mapping[str, str] = {"ink": "#e8ecf2", "muted": "#9aa5b4", "grid": "#2c3542"}
TEXT_SIZE = 10.5

_SURFACES_LIGHT: Mapping[str, str] = {
    "ground": "#f6f7f9",
    "card": "#ffffff",
    "line": "#e3e7ec",
    "soft": "#f0f3f7",
    "text-soft": "#566071",
    "good": "#14734f",
    "good-soft": "#dff3e9",
    "bad": "#b3261e",
    "bad-soft": "#fbe4e2",
    "open": "#7a5a00",
    "open-soft": "#fbf0d2",
    "shadow": "0 1px 2px rgb(16 24 40 / .05), 0 6px 24px -12px rgb(16 24 40 / .12)",
}
_SURFACES_DARK: Mapping[str, str] = {
    "ground": "#10151c",
    "card": "#181f29",
    "line": "#2a3340",
    "soft": "#1f2833",
    "text-soft": "#a3aebd",
    "good": "#6fd6a8",
    "good-soft": "#143629",
    "bad": "#ff9d94",
    "bad-soft": "#44201d",
    "open": "#f0cf7a",
    "open-soft": "#3a3016",
    "shadow": "none",
}

_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 72px; }
h1 {
  font-size: clamp(1.6rem, 1.1rem + 2.2vw, 2.4rem); line-height: 1.2; letter-spacing: -.02em;
  margin: 6px 0 10px; text-wrap: balance;
}
h2 { font-size: 1.2rem; letter-spacing: -.01em; margin: 56px 0 4px; }
h2 + p { margin: 0 0 16px; color: var(--text-soft); max-width: 72ch; }
.eyebrow {
  margin: 0; font-size: .82rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase;
  color: var(--text-soft);
}
.lede { margin: 0; color: var(--text-soft); max-width: 72ch; }
.card, .tile, .drawing {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow);
}
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(164px, 1fr)); gap: 14px; margin: 28px 0 14px; }
.tile { padding: 16px 18px; }
.tile h3 { margin: 0; font-size: .86rem; font-weight: 500; color: var(--text-soft); }
.tile .value { font-size: 2rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.25; }
.tile .range { display: block; min-height: 1.5em; font-size: .88rem; color: var(--text-soft); }
.chip {
  display: inline-block; margin-top: 8px; padding: 2px 10px; border-radius: 99px; font-size: .8rem; font-weight: 600;
  white-space: nowrap; background: var(--soft); color: var(--text-soft);
}
.chip.better { background: var(--good-soft); color: var(--good); }
.chip.worse { background: var(--bad-soft); color: var(--bad); }
.chip.open { background: var(--open-soft); color: var(--open); }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; }
.note { margin: 10px 0 0; font-size: .86rem; color: var(--text-soft); }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; border-radius: 14px; }
.card.scroll { padding: 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td {
  padding: 9px 9px; text-align: right; vertical-align: top; white-space: nowrap; border-top: 1px solid var(--line);
}
thead th {
  border-top: 0; font-size: .8rem; font-weight: 600; line-height: 1.3; color: var(--text-soft);
  vertical-align: bottom; white-space: normal;
}
th:first-child, td:first-child {
  padding-left: 18px; text-align: left; position: sticky; left: 0; background: var(--card);
}
td b { font-weight: 600; }
td small { display: block; color: var(--text-soft); font-size: .8rem; }
.key {
  display: inline-block; width: 10px; height: 10px; margin-right: 8px; border-radius: 3px; background: var(--tone);
}
.drawing { margin: 0 0 14px; padding: 16px 18px 10px; min-width: 0; }
.scroll + .drawing { margin-top: 14px; }
.drawing figcaption b { display: block; }
.drawing figcaption span { display: block; font-size: .88rem; color: var(--text-soft); }
.snug { display: none; }
.canvas svg { display: block; width: 100%; height: auto; margin-top: 8px; }
.canvas svg text { font-family: inherit !important; }
dl {
  display: grid; grid-template-columns: minmax(11em, auto) 1fr; gap: 6px 20px; margin: 0; padding: 18px 20px;
  font-size: .92rem;
}
dt { color: var(--text-soft); }
dd { margin: 0; }
code { font: .84em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
details { padding: 14px 20px; }
summary { cursor: pointer; font-weight: 600; }
details table { margin-top: 8px; }
footer { margin-top: 48px; font-size: .86rem; color: var(--text-soft); }
@media (max-width: 860px) {
  main { padding: 24px 14px 48px; }
  .pair { grid-template-columns: minmax(0, 1fr); }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tile { padding: 12px 14px; }
  .tile .value { font-size: 1.55rem; }
  .drawing { padding: 14px 12px 8px; }
  th, td { padding: 8px 10px; }
  th:first-child, td:first-child { padding-left: 14px; }
  dl { grid-template-columns: 1fr; gap: 0; padding: 14px; }
  dd { margin-bottom: 10px; }
}
@media (max-width: 560px) {
  .roomy { display: none; }
  .snug { display: block; }
}
@media print {
  body { background: none; } main { max-width: none; padding: 0; }
  .card, .tile, .drawing { box-shadow: none; break-inside: avoid; }
}
"""


def style_sheet(light: Mapping[str, str], dark: Mapping[str, str]) -> str:
    """The text of a page's ``<style>``: its colours as variables, then the rules that all pages share.

    Args:
        light: variable name to colour, those of the page's figures on top of ``BASE_LIGHT``.
        dark: the same names on a dark ground.
    """
    return (
        f":root {{ color-scheme: light dark; {_variables({**light, **_SURFACES_LIGHT})} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables({**dark, **_SURFACES_DARK})} }} }}\n{_RULES}"
    )


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty figure (inches) with one quiet pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, length=0, pad=6, labelsize=TEXT_SIZE)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def legend(axes: "Axes", column_width: float = 1.6) -> None:
    """A legend above the axes, in as many columns (of so many inches) as the figure is wide for."""
    names = len(axes.get_legend_handles_labels()[1])
    figure = axes.get_figure(root=True)
    width = 0.0 if figure is None else float(figure.get_figwidth())
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=max(min(names, int(width / column_width)), 1),
        frameon=False,
        labelcolor=INK,
        fontsize=TEXT_SIZE,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def svg(figure: "Figure", title: str, light: Mapping[str, str]) -> str:
    """The figure as an inline SVG without ground, fixed size or date, its colours as CSS variables.

    Args:
        title: read out to those who cannot see the picture.
        light: variable name to the colour that was drawn with.
    """
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    stream = io.BytesIO()
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gogooku"}):
        # One drawing, which lays out; ``savefig`` would draw once more only to lay out, to the same bytes.
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = stream.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # several figures share one page
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)  # hundredths of a point are finer than any screen
    for name, colour in light.items():
        text = text.replace(colour, f"var(--{name})")
    opening, rest = text.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{escape(title)}">{rest}'


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
