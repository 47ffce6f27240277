"""Odd rows of the tables beside the bars: left out and counted, or a figure less, and no night is stopped by them."""

import math
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.sources.jquants.rows import to_frame
from model.daily_quotes.sources.jquants.tables import SHORT_SELLING, STATEMENTS, TABLES
from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import SERVED_ON, FakeMarket, Row, alert, balance, flow, level, statement

DAY, FRIDAY = date(2024, 1, 17), date(2024, 1, 19)


def beside(open_days: Open, **keys: Any) -> dict[str, pl.DataFrame]:
    source = open_days(**keys)
    return dict(source.read(list(source.index().days)).beside)


@pytest.mark.parametrize(
    ("odd", "codes", "left_out"),
    [
        ({"CurFYEn": ""}, ["13010"], 1),
        ({"CurFYEn": "-"}, ["13010"], 1),
        ({"CurFYEn": "2024-02-30"}, ["13010"], 1),
        ({"CurPerType": ""}, ["13010"], 1),
        ({"Code": ""}, ["13010"], 1),
        ({"DiscDate": ""}, ["13010"], 1),
        ({"DiscDate": "2024-01-16"}, ["13010"], 1),
        ({"Sales": "N/A"}, ["13010", "72030"], 1),
        ({"Sales": math.nan}, ["13010", "72030"], 1),
        ({"Sales": [1]}, ["13010", "72030"], 1),
        ({"DiscNo": ""}, ["13010", "72030"], 0),
        ({"DiscNo": None}, ["13010", "72030"], 0),
        ({"DocType": ""}, ["13010", "72030"], 0),
        ({"NxtFYEn": "-"}, ["13010", "72030"], 0),
        ({"DiscTime": "24:30:00"}, ["13010", "72030"], 0),
    ],
)
def test_an_odd_statement_stops_nothing_and_is_left_out_or_lacks_its_figure(
    open_days: Open, market: FakeMarket, clock: FakeClock, odd: Row, codes: list[str], left_out: int
) -> None:
    market.statements += [
        statement(DAY, "13010", "1", Sales="100", NP="5"),
        statement(DAY, "72030", "2", Sales="200", NP="6") | odd | {SERVED_ON: str(DAY)},
    ]
    kept = {"statements": {str(DAY): left_out}} if left_out else {}
    for _ in range(2):  # the night after, the same answer changes nothing
        rows = beside(open_days, tables=["statements"])["statements"]
        assert rows["Code"].to_list() == codes
        assert rows["Sales"].to_list() == [100.0, None if "Sales" in odd else 200.0][: len(codes)]
        assert rows["Profit"].to_list() == [5.0, 6.0][: len(codes)]
        assert open_days().coverage().left_out == kept
        clock.wait(hours=7)


def test_a_time_that_is_none_counts_at_the_end_of_the_day(open_days: Open, market: FakeMarket) -> None:
    market.statements.append(statement(DAY, "72030", "1", Sales="100", DiscTime="24:30:00"))
    [at] = beside(open_days, tables=["statements"])["statements"]["PublishedAt"].to_list()
    assert at == datetime(2024, 1, 17, 14, 59, 59, tzinfo=UTC)


def test_a_figure_that_is_put_right_later_counts_from_then(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements.append(statement(FRIDAY, "72030", "1", Sales="N/A", NP="5"))
    beside(open_days, tables=["statements"])
    market.statements[0]["Sales"] = "7"
    clock.wait(hours=7)
    rows = beside(open_days, tables=["statements"], recheck_days=250)["statements"]
    assert open_days().coverage().left_out == {}
    assert rows.filter(pl.col("Sales") == 7.0).height == 0  # seen on Saturday: it lies under the next trading day


@pytest.mark.parametrize(
    ("name", "place", "row"),
    [
        ("investor_flow", "flows", flow(date(2024, 1, 12), DAY) | {"PubDate": "2024-01-1x"}),
        ("investor_flow", "flows", flow(date(2024, 1, 12), DAY) | {"StDate": ""}),
        ("investor_flow", "flows", flow(date(2024, 1, 12), DAY) | {"EnDate": "2024-01-18"}),
        ("margin", "margin", balance(date(2024, 1, 12), "13010", date(2024, 1, 10))),
        ("margin", "margin", balance(date(2024, 1, 12), "") | {"LongVol": 5.0}),
        ("daily_margin", "alerts", alert(DAY, "13010", date(2024, 1, 18), 1.0, 1.0)),
        ("daily_margin", "alerts", alert(DAY, "13010", DAY, 1.0, 1.0) | {"AppDate": "-"}),
        ("short_selling", "shorts", {"Date": str(DAY), "S33": "", "SellExShortVa": 1, "ShrtWithResVa": 1}),
        ("topix", "topix", level(DAY, None, 1.0) | {"Date": "2024-01-32"}),
        ("sector_indices", "indices", level(DAY, "", 1.0)),
    ],
)
def test_an_odd_row_of_any_table_is_left_out_and_counted(
    open_days: Open, market: FakeMarket, name: str, place: str, row: Row
) -> None:
    rows = getattr(market, place)
    if name == "margin":
        rows[:] = [each for each in rows if (each["Date"], each["Code"]) != (row["Date"], row["Code"])]
    expected = beside(open_days, tables=[name])
    rows.append(row | {SERVED_ON: str(row["Date"] if name == "margin" else DAY)})
    found = beside(open_days, tables=[name], recheck_hours=0.0, recheck_days=250)
    assert all(table.equals(expected[name]) for name, table in found.items())
    assert [sum(units.values()) for units in open_days().coverage().left_out.values()] == [1]
    assert list(open_days().coverage().left_out) == [name]


def test_rows_that_lack_a_part_of_their_key_and_differ_are_told_apart_by_nothing() -> None:
    rows = [statement(DAY, "72030", "", Sales=sales) for sales in ("1", "2")]
    found = to_frame(STATEMENTS.endpoints[0], [*rows, statement(DAY, "13010", "3", Sales="3")], str(DAY))
    assert (found.frame["Code"].to_list(), found.odd) == (["13010"], 2)


def test_rows_that_contradict_each_other_are_left_out_and_stop_no_night(
    open_days: Open, market: FakeMarket, clock: FakeClock
) -> None:
    market.statements += [statement(DAY, code, "1", Sales="100", NP="5") for code in ("13010", "72030")]
    market.statements.append(market.statements[1] | {"NP": "6"})
    for _ in range(2):
        assert beside(open_days, tables=["statements"])["statements"]["Code"].to_list() == ["13010"]
        assert open_days().coverage().left_out == {"statements": {str(DAY): 2}}
        clock.wait(hours=7)
    clock.wait(hours=-14)
    del market.statements[1]
    rows = beside(open_days, tables=["statements"], recheck_hours=0.0)["statements"]
    assert rows.select("Code", "Date", "Profit").rows() == [("13010", DAY, 5.0), ("72030", FRIDAY, 6.0)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"S33": ""}, r"S33 is empty in 8 of 12 rows"),
        ({"S33": "1"}, r"contradicts itself: 1 of 12 keys come with different values, the first being S33=1"),
        ({"Date": "2024-01-18"}, r"8 of 12 rows have the Date 2024-01-18, which was not asked for"),
        ({"SellExShortVa": "N/A"}, r"'SellExShortVa' holds 'N/A'.* in 8 of 12 rows"),
    ],
)
def test_many_odd_rows_mean_that_the_interface_has_changed(change: Row, said: str) -> None:
    figures = {"SellExShortVa": 6.0, "ShrtWithResVa": 3.0, "ShrtNoResVa": 1.0}
    rows: list[Row] = [{"Date": str(DAY), "S33": str(number), **figures} for number in range(12)]
    spoilt = [row | change | {"ShrtNoResVa": float(number)} for number, row in enumerate(rows[:8])]
    with pytest.raises(SourceError, match=said):
        to_frame(SHORT_SELLING.endpoints[0], spoilt + rows[8:], str(DAY))
    found = to_frame(SHORT_SELLING.endpoints[0], spoilt[:4] + rows[4:], str(DAY))
    assert found.odd == 4


def test_a_column_that_no_row_has_is_refused_in_every_table() -> None:
    for table in TABLES.values():
        for endpoint in table.endpoints:
            with pytest.raises(SourceError, match=r"has no column"):
                to_frame(endpoint, [{"Date": str(DAY)}], str(DAY))
