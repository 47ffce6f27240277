"""Rows laid out on a grid: every cell holds its own row's value, and a missing one says so."""

from datetime import date

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quality_features.dense import NO_SECTOR, densify

ROWS = st.dictionaries(
    st.tuples(st.integers(1, 6), st.sampled_from("ABCD")), st.none() | st.sampled_from(["Banks", "Foods"]), min_size=1
)


@given(rows=ROWS, first=st.integers(0, 3), pieces=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_each_cell_holds_the_text_and_the_flag_of_its_row(
    rows: dict[tuple[int, str], str | None], first: int, pieces: int
) -> None:
    listed = [(date(2020, 1, day), code, rows[day, code], code == "B") for day, code in sorted(rows)]
    frame = pl.DataFrame(listed, schema=["Date", "Code", "Sector", "Flag"], orient="row")
    size = -(-frame.height // pieces)
    frame = pl.concat([frame.slice(start, size) for start in range(0, frame.height, size)], rechunk=False)
    dense = densify(frame)
    days = sorted({day for day, _ in rows})
    first = min(first, len(days))
    names = sorted({text for (day, _), text in rows.items() if text is not None and days.index(day) >= first})
    assert dense.codes == tuple(sorted({code for _, code in rows}))
    number, flag = dense.category("Sector", first), dense.flag("Flag", first)
    assert number.shape == flag.shape == dense.shape
    for place, (day, column) in enumerate(np.ndindex(*dense.shape)):
        text = rows.get((days[day], dense.codes[column])) if day >= first else None
        assert number[day, column] == (NO_SECTOR if text is None else names.index(text)), place
        assert flag[day, column] == (day >= first and (days[day], "B") in rows and dense.codes[column] == "B")
    held = np.zeros(dense.shape, dtype=np.bool_)
    held.reshape(-1)[dense.cell] = True
    assert np.array_equal(held, dense.present()) and held.sum() == len(rows)
