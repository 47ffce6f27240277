"""The weekly flow of investors over the sections of the market."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from model.daily_quotes.beside import INVESTOR_FLOW
from model.raw_dataset.days import available_schema
from model.raw_dataset.market import flow_in_force

PARTS = {"TSEPrime": 100.0, "TSEStandard": 10.0, "TSEGrowth": 1.0}


def _week(sections: dict[str, float], counts_from: date = date(2024, 5, 10)) -> pl.DataFrame:
    published = datetime(2024, 5, 9, 9, tzinfo=UTC)
    rows = [
        {
            "Date": date(2024, 5, 9),
            "Section": section,
            "PeriodStart": date(2024, 4, 30),
            "PeriodEnd": date(2024, 5, 2),
            "PublishedAt": published,
            "ForeignNet": value,
            "IndividualNet": -value,
            "Total": 10.0 * value,
            "AvailableFrom": counts_from,
        }
        for section, value in sections.items()
    ]
    return pl.DataFrame(rows, schema=available_schema(INVESTOR_FLOW.name))


@pytest.mark.parametrize("sections", [PARTS, {**PARTS, "TokyoNagoya": 112.0}, {"TokyoNagoya": 112.0, **PARTS}])
def test_the_total_of_all_sections_is_not_added_to_them(sections: dict[str, float]) -> None:
    week = flow_in_force(_week(sections))
    assert week.select("ForeignNet", "IndividualNet", "FlowTotal").rows() == [(111.0, -111.0, 1110.0)]


def test_the_total_of_all_sections_counts_where_it_is_alone() -> None:
    week = flow_in_force(_week({"TokyoNagoya": 112.0}))
    assert week.select("ForeignNet", "IndividualNet", "FlowTotal").rows() == [(112.0, -112.0, 1120.0)]


def test_sections_that_come_after_their_total_take_its_place() -> None:
    records = pl.concat([_week({"TokyoNagoya": 112.0}), _week(PARTS, date(2024, 5, 13))])
    assert flow_in_force(records)["ForeignNet"].to_list() == [112.0, 111.0]
