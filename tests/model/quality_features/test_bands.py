"""Bands: where columns lie, which cells are computed again, how chunks are patched."""

from datetime import date

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quality_features.bands import BANDS, MARKET, bands
from model.quality_features.bands_jobs import Cells, Reached, jobs, spread
from model.quality_features.bands_patch import Patch
from model.quality_features.selection import feature_names, validity_names
from model.quality_features.settings import GROUP_NAMES, FeatureSettings
from model.store.day_digests import DayDigests

KEY = ("Date", "Code")
ALL = FeatureSettings(groups=GROUP_NAMES)


def test_every_feature_and_flag_lies_in_one_band_and_no_band_reads_further_back_than_it_may() -> None:
    layout = bands(ALL)
    held = [name for band in layout for name in band.names]
    assert sorted(held) == sorted((*feature_names(ALL), *validity_names()))
    longest = dict(BANDS)
    shorter = 0
    for band in layout:
        if band.table == MARKET:
            assert all(column.market for column in band.columns) and band.key == ("Date",)
            continue
        assert not any(column.market for column in band.columns)
        assert all(column.lookback_days > shorter for column in band.columns)
        assert band.lookback_days <= (longest[band.table] or 10**9)
        shorter = longest[band.table] or shorter
    assert layout[0].head == ("Date", "Code", "InUniverse")


@given(marked=st.lists(st.booleans(), min_size=1, max_size=30), back=st.integers(0, 5), forward=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_marks_spread_as_far_as_they_are_told(marked: list[bool], back: int, forward: int) -> None:
    found = spread(np.array(marked), back, forward)
    places = np.flatnonzero(marked)
    assert found.tolist() == [any(-back <= day - place <= forward for place in places) for day in range(len(marked))]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_jobs_cover_every_marked_cell_and_nothing_that_is_computed_whole(data: st.DataObject) -> None:
    days, codes = 25, ("A", "B", "C")
    dates = tuple(date(2020, 1, 1 + number) for number in range(days))
    flags = st.lists(st.sampled_from([False, False, False, True]), min_size=days, max_size=days)
    cells = {
        name: Cells(np.array(data.draw(flags)), np.array([data.draw(flags) for _ in codes]).T) for name in ("x", "y")
    }
    whole = np.array(data.draw(flags))
    nothing = np.zeros((days, 3), dtype=np.bool_)
    found = Reached(dates, slice(0, days), codes, nothing, np.zeros(days + 1, np.bool_), nothing[:, 0], 3)
    planned = jobs(found, cells, data.draw(st.integers(1, 6)), whole)
    for name, each in cells.items():
        for day in np.flatnonzero(~whole):
            covering = [job for job in planned if job.first <= dates[day] <= job.last and name in job.names]
            if each.everyone[day]:
                assert any(job.codes is None for job in covering)
            for number in np.flatnonzero(each.own[day]):
                assert any(job.codes is None or codes[number] in job.codes for job in covering)
    computed_for_nothing = [job for job in planned if whole[dates.index(job.first)] or whole[dates.index(job.last)]]
    assert not computed_for_nothing


def chunk(rows: list[tuple[int, str]], offset: float = 0.0) -> pl.DataFrame:
    """Date, Code, InUniverse and a column of every kind, each a function of the row."""
    number = pl.Series([day * 10.0 + ord(code) + offset for day, code in rows], dtype=pl.Float64)
    return pl.DataFrame(
        {"Date": [date(2020, 1, day) for day, _ in rows], "Code": [code for _, code in rows]},
        schema={"Date": pl.Date, "Code": pl.String},
    ).with_columns(
        InUniverse=number % 2 == 0,
        real=pl.when(number % 3 != 0).then(number).cast(pl.Float32),
        flag=pl.when(number % 5 != 0).then(number % 2 == 0),
        text=pl.when(number % 3 != 0).then(number.cast(pl.String)),
        day=pl.when(number % 5 != 0).then(
            pl.lit(date(2020, 1, 1)).dt.offset_by(number.cast(pl.Int64).cast(pl.String) + "d")
        ),
    )


PLACES = st.tuples(st.integers(1, 9), st.sampled_from("ABCD"))


@given(before=st.sets(PLACES), after=st.sets(PLACES), again=st.sets(PLACES))
@settings(max_examples=25, deadline=None)
def test_a_patched_chunk_is_the_chunk_of_now(
    before: set[tuple[int, str]], after: set[tuple[int, str]], again: set[tuple[int, str]]
) -> None:
    """Rows that are new, and any others, are computed again; the rest keep their values."""
    due = sorted(((after - before) | again) & after)
    now = chunk(sorted(after))
    stays = pl.struct(KEY).is_in([{"Date": date(2020, 1, day), "Code": code} for day, code in sorted(before & again)])
    old = chunk(sorted(before)).with_columns(real=pl.when(stays).then(-1.0).otherwise("real").cast(pl.Float32))
    parts = [chunk(due).select(*KEY, "real", "day"), chunk(due).select(*KEY, "flag", "text")]
    patch = Patch(old)
    patch.rows(now.select(*KEY, "InUniverse"), KEY)
    for part in parts:
        patch.cells(part, KEY)
    assert patch.chunk.equals(now.select(patch.chunk.columns))
    assert patch.any == (not old.equals(now))
    of_now = DayDigests.of(now)
    taken_over = DayDigests.of(patch.chunk, DayDigests.of(old), patch.differs)
    assert np.array_equal(taken_over.days, of_now.days) and np.array_equal(taken_over.values, of_now.values)
    for day, differs in zip(of_now.days.tolist(), patch.differs, strict=True):
        was, is_now = (frame.filter(pl.col("Date").to_physical() == day) for frame in (old, now))
        assert differs.any() == (not was.equals(is_now))
    same = Patch(now)
    for part in parts:
        same.cells(part, KEY)
    assert same.chunk.equals(now) and not same.any
