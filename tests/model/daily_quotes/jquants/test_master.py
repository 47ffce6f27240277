"""A master that is cut, and one that lacks a few codes: without it sectors would be lost and funds come in."""

from datetime import date

import pytest

from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket
from tests.model.daily_quotes.jquants.server import JQuantsServer

FRIDAY = date(2024, 1, 19)


@pytest.fixture
def wide() -> FakeMarket:
    """A market of 40 codes."""
    return FakeMarket([date(2024, 1, 18), FRIDAY], [f"{number}0" for number in range(1000, 1040)])


def test_a_master_that_is_cut_is_refused_and_loses_no_sector(
    open_days: Open, server: JQuantsServer, clock: FakeClock, wide: FakeMarket
) -> None:
    server.market = wide
    for code in wide.codes[:3]:
        wide.master[str(FRIDAY), code]["Mkt"] = "0109"
    settings = {"tables": [], "start": wide.days[0]}
    before = open_days(**settings).index()
    full = dict(wide.master)
    for code in wide.codes[:3] + wide.codes[5:]:
        del wide.master[str(FRIDAY), code]
    clock.wait(hours=7)
    with pytest.raises(
        SourceError, match=r"for 2024-01-19: the master has no row for 38 of the 40 codes.*source.empty_days"
    ):
        open_days(**settings).index()
    source = open_days(offline=True, **settings)
    rows = source.read([FRIDAY]).quotes
    assert source.index() == before and rows.height == 37 and rows["Sector"].null_count() == 0
    wide.master = full
    assert open_days(**settings).index() == before


def test_a_day_whose_master_stays_cut_can_be_done_without(
    open_days: Open, server: JQuantsServer, wide: FakeMarket
) -> None:
    server.market = wide
    for code in wide.codes[1:]:
        del wide.master[str(wide.days[0]), code]
    settings = {"tables": [], "start": wide.days[0]}
    with pytest.raises(SourceError, match=r"no row for 39 of the 40 codes"):
        open_days(**settings).index()
    assert list(open_days(empty_days=[wide.days[0]], **settings).index().days) == [FRIDAY]


def test_a_few_codes_without_a_row_of_the_master_stop_no_night(
    open_days: Open, server: JQuantsServer, wide: FakeMarket
) -> None:
    server.market = wide
    for code in wide.codes[:5]:
        del wide.master[str(FRIDAY), code]
    source = open_days(tables=[], start=wide.days[0])
    source.index()
    rows = source.read([FRIDAY]).quotes
    assert rows.height == 40 and rows["Sector"].null_count() == 5
