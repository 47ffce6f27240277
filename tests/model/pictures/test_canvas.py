"""The house look."""

from datetime import date

import matplotlib as mpl
import numpy as np
import polars as pl

from model.pictures import canvas, rank_ic


def test_equal_figures_give_equal_bytes_and_leave_no_setting_behind() -> None:
    before = dict(mpl.rcParams)

    def drawn() -> bytes:
        figure, axes = canvas.sheet("Title")
        axes.plot([1, 2], [3, 4])
        return canvas.png(figure)

    assert drawn() == drawn()
    assert dict(mpl.rcParams) == before


def test_stacked_bars_stand_on_each_other() -> None:
    _, axes = canvas.sheet("Title")
    x = np.arange(2.0)
    canvas.stacked(axes, x, [("a", np.array([1.0, 2.0]), canvas.BLUE), ("b", np.array([3.0, 0.0]), canvas.RED)], 0.8)
    assert [bar.get_y() for bar in axes.containers[1]] == [1.0, 2.0]


def test_the_line_of_rank_ic_stops_where_labels_are_not_known() -> None:
    days = pl.date_range(date(2019, 1, 1), date(2019, 1, 8), eager=True)
    daily = pl.DataFrame({"Date": days, "series": ["a"] * 8, "rank_ic": [0.1] * 6 + [None] * 2})
    _, axes = canvas.sheet("Title")
    rank_ic.draw(axes, daily, {"a": canvas.BLUE, "b": canvas.RED})
    line = np.asarray(axes.lines[1].get_ydata())
    assert np.isnan(line).tolist() == [True] * 4 + [False] * 2 + [True] * 2
    assert axes.get_legend_handles_labels()[1] == ["a: mean +0.100, 6 days", "b: no labels yet"]


def test_a_panel_without_data_leaves_the_ticks_of_its_neighbour() -> None:
    figure, (left, right) = canvas.sheet("Title", 1, 2, sharey=True)
    left.plot([1, 2], [3, 4])
    canvas.say(right, "nothing")
    canvas.png(figure)
    assert len(left.get_yticks()) > 2
    assert [text.get_text() for text in right.texts] == ["nothing"]
