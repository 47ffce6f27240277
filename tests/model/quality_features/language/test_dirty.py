"""After a change, a cell without a mark has the same bits as before it; and marks are not much wider than need be."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features.language.dirty import Affected, Changed, affected
from model.quality_features.language.feature import Feature
from model.quality_features.language.parse import parse
from model.quality_features.language.plan import Options, Plan, compile_plan
from model.quality_features.table import compute_table

PanelMaker = Callable[..., pl.DataFrame]
FORMULAS = {
    "own": "close / high",
    "lagged": "lag(close, 7)",
    "change": "ret(close, 7)",
    "smooth": "ema(ret(close, 1), 3) - std(close, 9) + max(high, 5)",
    "place": "rank(ret(close, 5))",
    "market": "sum(market_return, 6)",
    "index": "lag(index_close, 4)",
    "beta": "slope(ret(close, 1), market_return, 8)",
    "sector": "sector_zscore(mean(volume, 4))",
    "momentum": "sum(sector_mean(ret(close, 1)), 5)",
    "ranked_twice": "rank(lag(rank(close), 3))",
    "still": "corr(close, volume, 7) * varies(close, 0.02, 6)",
    "places": "rank_in_time(close, 6) + quantile(close, 0.3, 6) + max_position(high, 5) + trend_slope(low, 6)",
}
PLAN = compile_plan(
    [Feature(name, "test", parse(text)) for name, text in FORMULAS.items()], Options(0.5, 1), {"valid_5d": 5}
)
DAYS, CODES = 40, 12


class Market:
    """A panel on its grid, with the names and sectors of every cell."""

    def __init__(self, frame: pl.DataFrame, index: pl.DataFrame) -> None:
        self.frame = frame
        self.index = index
        self.days = index["Date"].to_list()
        self.codes = [f"{1000 + number}A" for number in range(CODES)]

    def grid(self, column: str) -> NDArray[np.object_]:
        grid = np.full((len(self.days), CODES), None, dtype=np.object_)
        day = {date: number for number, date in enumerate(self.days)}
        code = {name: number for number, name in enumerate(self.codes)}
        for date, name, value in self.frame.select("Date", "Code", column).iter_rows():
            grid[day[date], code[name]] = value
        return grid

    def sectors(self) -> NDArray[np.int32]:
        return np.vectorize(lambda sector: -1 if sector is None else int(sector[1:]))(self.grid("Sector")).astype(
            np.int32
        )

    def values(self) -> dict[str, NDArray[np.object_]]:
        result = compute_table(self.frame, PLAN, self.days[0], self.days[-1], threads=1, market=self.index)
        held = Market(result, self.index)
        return {output.name: held.grid(output.name) for output in PLAN.outputs}


def a_market(make_panel: PanelMaker, seed: int) -> Market:
    frame = make_panel(DAYS, CODES, seed=seed, missing=0.1, sectors=3)
    days = frame["Date"].unique().sort()
    rng = np.random.Generator(np.random.PCG64(seed))
    return Market(frame, pl.DataFrame({"Date": days, "IndexClose": rng.uniform(90, 110, len(days))}))


def changed_rows(before: Market, after: Market) -> NDArray[np.bool_]:
    columns = ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose", "AdjVolume", "Sector", "InUniverse")
    return np.logical_or.reduce([before.grid(column) != after.grid(column) for column in columns])


def changes(rng: np.random.Generator, frame: pl.DataFrame, days: list[object]) -> pl.DataFrame:
    """Some rows of one or two names with other values, other sectors, in or out of the universe, gone or restated."""
    names = [f"{1000 + number}A" for number in rng.integers(0, CODES, rng.integers(1, 3))]
    some = (
        pl.col("Code").is_in(names)
        & pl.col("Date").is_in([days[number] for number in rng.integers(0, DAYS, rng.integers(1, 4))])
        & (pl.col("Date") != days[-1])
    )
    kind = rng.integers(0, 6)
    if kind == 5:  # most names of a day
        some = (pl.col("Date") == days[int(rng.integers(0, DAYS - 1))]) & (pl.col("Code") != names[0])
    if kind == 0:
        return frame.filter(~some)
    if kind == 1:
        return frame.with_columns(Sector=pl.when(some).then(pl.lit("S2")).otherwise("Sector"))
    if kind == 2:
        return frame.with_columns(InUniverse=pl.col("InUniverse") ^ some)
    if kind == 3:  # a split is restated: everything before it
        old = pl.col("Code").is_in(names) & (pl.col("Date") < days[int(rng.integers(1, DAYS))])
        return frame.with_columns(
            pl.when(old).then(pl.col(name) / 2).otherwise(name).alias(name)
            for name in ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose")
        )
    return frame.with_columns(AdjClose=pl.when(some).then(pl.col("AdjClose") * 1.5).otherwise("AdjClose"))


@given(seed=st.integers(0, 10**6), precise=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_cell_without_a_mark_keeps_its_bits(make_panel: PanelMaker, seed: int, precise: bool) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    before = a_market(make_panel, seed)
    index = before.index.with_columns(IndexClose=pl.col("IndexClose") * np.where(rng.random(DAYS) < 0.05, 1.1, 1.0))
    after = Market(changes(rng, before.frame, before.days), index)
    member = (before.grid("InUniverse") == True) | (after.grid("InUniverse") == True)  # noqa: E712
    found = affected(
        PLAN,
        Changed(
            rows=changed_rows(before, after),
            market=(before.index["IndexClose"] != after.index["IndexClose"]).to_numpy(),
            member=member if precise else None,
            sector=after.sectors() if precise else None,
            sector_before=before.sectors() if precise and seed % 2 else None,
        ),
    )
    old, new = before.values(), after.values()
    for name in old:
        differs = old[name] != new[name]
        assert not (differs & ~found[name].grid(CODES)).any(), name


@given(seed=st.integers(0, 10**6), place=st.integers(0, DAYS - 2), gone=st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_new_or_vanished_trading_day_marks_what_reads_across_it(
    make_panel: PanelMaker, seed: int, place: int, gone: bool
) -> None:
    whole = a_market(make_panel, seed)
    away = pl.col("Date") != whole.days[place]
    short = Market(whole.frame.filter(away), whole.index.filter(away))
    before, after = (whole, short) if gone else (short, whole)
    rows = np.zeros((len(after.days), CODES), dtype=np.bool_)
    moved = np.zeros(len(after.days), dtype=np.bool_)
    moved[place] = True
    if not gone:
        rows[place] = True
    found = affected(PLAN, Changed(rows=rows, market=None if gone else moved, axis=moved))
    old, new = before.values(), after.values()
    kept = [before.days.index(day) for day in after.days if day in before.days]
    still = [after.days.index(day) for day in after.days if day in before.days]
    for name in old:
        differs = old[name][kept] != new[name][still]
        assert not (differs & ~found[name].grid(CODES)[still]).any(), name


@pytest.fixture(scope="module")
def marks() -> dict[str, Affected]:
    """One row of the fifth name, which is a member, on the twentieth day."""
    rows = np.zeros((DAYS, CODES), dtype=np.bool_)
    rows[20, 5] = True
    sectors = np.tile(np.arange(CODES, dtype=np.int32) % 3, (DAYS, 1))
    return affected(PLAN, Changed(rows, sector=sectors, sector_before=sectors))


def test_marks_are_as_wide_as_the_windows_and_no_wider(marks: dict[str, Affected]) -> None:
    def days(name: str, code: int) -> list[int]:
        return np.flatnonzero(marks[name].grid(CODES)[:, code]).tolist()

    assert days("own", 5) == [20]
    assert days("lagged", 5) == [20, 27]
    assert days("change", 5) == [20, 27]
    assert days("smooth", 5) == list(range(20, 20 + 17))
    assert days("valid_5d", 5) == [20, 21, 22, 23, 24]
    assert days("index", 5) == [20]
    for name in ("own", "lagged", "change", "smooth", "valid_5d", "index", "places"):
        assert marks[name].days.sum() == marks[name].grid(CODES).sum()  # one name alone
    assert days("place", 0) == [20, 25] and days("place", 5) == [20, 25]
    assert days("market", 0) == list(range(20, 27))
    assert days("sector", 2) == [20, 21, 22, 23] and days("sector", 0) == []
    assert days("momentum", 8) == list(range(20, 26)) and days("momentum", 9) == []
    assert days("ranked_twice", 0) == [20, 23]


def test_a_name_outside_the_universe_moves_nobody_but_itself() -> None:
    rows = np.zeros((DAYS, CODES), dtype=np.bool_)
    rows[3, 5] = True
    member = np.ones_like(rows)
    member[:, 5] = False
    found = affected(_plan("rank(lag(close, 2))"), Changed(rows, member=member))["x"]
    # On the day of the change it may just have left; two days later it is known to be outside.
    assert np.flatnonzero(found.every).tolist() == [3]
    assert np.argwhere(found.cells).tolist() == [[3, 0], [5, 0]] and found.codes.tolist() == [5]


def test_a_day_on_which_most_rows_changed_is_marked_for_every_name() -> None:
    rows = np.zeros((DAYS, CODES), dtype=np.bool_)
    rows[30, :8] = True
    found = affected(PLAN, Changed(rows))
    assert found["lagged"].cells.size == 0
    assert np.flatnonzero(found["lagged"].every).tolist() == [30, 37]
    assert np.flatnonzero(found["ranked_twice"].every).tolist() == [30, 33]


def test_no_change_marks_nothing() -> None:
    found = affected(PLAN, Changed(np.zeros((DAYS, CODES), dtype=np.bool_)))
    assert not any(marks.days.any() for marks in found.values())


def _plan(formula: str) -> Plan:
    return compile_plan([Feature("x", "test", parse(formula))], Options(0.5, 1))
