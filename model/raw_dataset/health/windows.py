"""Small price plots around single days, drawn as plain SVG: thirty of them weigh less than one figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.raw_dataset.stage import ASSET, PANEL
from model.store.store import Store

BEFORE, AFTER = 30, 30
"""Rows of the code shown on each side."""
_WIDTH, _HEIGHT, _VOLUME = 300.0, 132.0, 26.0
_TOP, _BOTTOM = 8.0, 2.0


@dataclass(frozen=True)
class Window:
    """The rows of a code around a day, and which of them is the day."""

    rows: pl.DataFrame
    event: int


def read_windows(store: Store, places: Sequence[tuple[date, str]]) -> list[Window | None]:
    """The rows around each (Date, Code), as adjusted; None where the code has no close that day."""
    if not places:
        return []
    codes = pl.Series([code for _, code in places]).unique()
    columns = ["Date", "Code", "AdjClose", "AdjVolume"]
    parts = [
        pl.scan_parquet(store.path(ASSET, f"{PANEL}/{month}.parquet"), glob=False)
        .select(columns)
        .filter(pl.col("Code").is_in(codes.implode()) & (pl.col("AdjClose") > 0))
        .collect()
        for month in store.chunks(ASSET, PANEL)
    ]
    by_code = {str(key[0]): frame for key, frame in pl.concat(parts).group_by("Code", maintain_order=True)}
    return [_window(by_code.get(code), day) for day, code in places]


def _window(rows: pl.DataFrame | None, day: date) -> Window | None:
    if rows is None:
        return None
    place = rows["Date"].search_sorted(day)
    if place >= rows.height or rows["Date"][place] != day:
        return None
    first = max(place - BEFORE, 0)
    return Window(rows[first : place + AFTER], place - first)


def draw(window: Window, title: str) -> str:
    """The closes on a logarithmic scale, before the day in grey and from it on in colour, over the volumes."""
    close = window.rows["AdjClose"].to_numpy()
    volume = window.rows["AdjVolume"].fill_null(0.0).to_numpy()
    x = np.linspace(4.0, _WIDTH - 4.0, max(len(close), 2))[: len(close)]
    y = _scaled(np.log(close), _TOP, _HEIGHT - _VOLUME - 12.0)
    heights = np.sqrt(volume / volume.max()) * _VOLUME if volume.max() > 0 else np.zeros(len(volume))
    event = window.event
    step = x[1] - x[0] if len(x) > 1 else 4.0
    line = x[event] - step / 2
    bars = "".join(
        f"M{px:.1f} {_HEIGHT - _BOTTOM:.1f}v{-height:.1f}"
        for px, height in zip(x, heights, strict=True)
        if height >= 0.3
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(title)}">'
        f'<path d="{bars}" stroke="var(--grey)" stroke-width="{max(step * 0.6, 1):.1f}" opacity=".45"/>'
        f'<path d="M{line:.1f} 2V{_HEIGHT - _BOTTOM:.0f}" stroke="var(--muted)" stroke-dasharray="3 3"/>'
        f"{_trace(x[:event], y[:event], 'var(--muted)')}{_trace(x[event:], y[event:], 'var(--blue)')}</svg>"
    )


def _trace(x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> str:
    if not len(x):
        return ""
    if len(x) == 1:
        return f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="2" fill="{colour}"/>'
    points = "L".join(f"{px:.1f} {py:.1f}" for px, py in zip(x, y, strict=True))
    return f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>'


def _scaled(values: NDArray[np.float64], top: float, bottom: float) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.02)
    middle = (low + high) / 2.0
    return np.asarray((top + bottom) / 2.0 - (values - middle) / span * (bottom - top))
