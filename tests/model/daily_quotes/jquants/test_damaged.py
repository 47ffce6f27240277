"""A memory that is damaged: asked for again where nothing is lost, and said where something would be."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from model.daily_quotes.sources.access import Access
from model.daily_quotes.sources.jquants.cache import Coverage
from model.errors import SourceError
from tests.model.daily_quotes.jquants.conftest import FakeClock, Open
from tests.model.daily_quotes.jquants.market import FakeMarket, Row, statement
from tests.model.daily_quotes.jquants.server import JQuantsServer
from tests.model.daily_quotes.jquants.test_sync import asked_days, files

DAY = date(2024, 1, 10)
OFFLINE: dict[str, Any] = {"offline": True, "key": ""}


def kept(home: Path, table: str = "quotes", day: date = DAY) -> Path:
    return home / "sources/jquants" / table / "2024" / f"{day}.parquet"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def scribble(path: Path) -> None:
    """Damage the middle; the end stays as it was."""
    body = bytearray(path.read_bytes())
    body[4:-8] = bytes(len(body) - 12)
    path.write_bytes(body)


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_file_that_is_damaged_or_gone_is_asked_for_again_at_the_next_look(
    open_days: Open, server: JQuantsServer, tmp_path: Path, damage: Any
) -> None:
    before, folder = open_days().index(), files(tmp_path)
    damage(kept(tmp_path))
    damage(kept(tmp_path, "short_selling"))
    with pytest.raises(SourceError, match=r"1 of 1 files of quotes.*2024-01-10\.parquet.*asked for again"):
        open_days(**OFFLINE).read([DAY])
    server.requests.clear()
    assert open_days().index() == before and files(tmp_path) == folder
    assert asked_days(server) == [str(DAY)] == asked_days(server, "short-ratio")
    assert open_days(**OFFLINE).read([DAY]).quotes.height == 5


def test_a_storage_root_with_brackets_in_its_name_is_read_like_any_other(open_days: Open, tmp_path: Path) -> None:
    source = open_days()
    source.access = Access(tmp_path / "run[1]*", source.access.secrets)
    before = source.index()
    assert source.read([DAY]).quotes.height == 5 and source.index() == before


def test_a_file_with_a_damaged_middle_is_named_and_mended_once_it_is_removed(
    open_days: Open, clock: FakeClock, tmp_path: Path
) -> None:
    before, folder = open_days().index(), files(tmp_path)
    scribble(kept(tmp_path))
    with pytest.raises(SourceError, match=r"2024-01-10\.parquet.*remove it and run the command again"):
        open_days(**OFFLINE).read([DAY])
    kept(tmp_path).unlink()
    assert open_days().index() == before and files(tmp_path) == folder
    scribble(kept(tmp_path))
    clock.wait(hours=7)
    assert open_days(recheck_days=250).index() == before and files(tmp_path) == folder  # a recheck mends it unasked


@pytest.mark.parametrize("damage", [cut, scribble, Path.unlink])
def test_a_file_with_a_history_is_not_replaced_by_what_is_served_now(
    open_days: Open, market: FakeMarket, clock: FakeClock, tmp_path: Path, damage: Any
) -> None:
    open_days(recheck_days=250).index()
    right = market.bars[str(DAY), "72030"]["C"]
    for close in (1.0, right):  # a correction that was taken back: what is served is as at first
        market.bars[str(DAY), "72030"]["C"] = close
        clock.wait(hours=7)
        open_days(recheck_days=250).index()
    ledger = tmp_path / "sources/jquants/ledger/quotes/2024-01.json"
    before = ledger.read_bytes()
    damage(kept(tmp_path))
    clock.wait(hours=7)
    with pytest.raises(
        SourceError, match=r"2024-01-10\.parquet is damaged or gone. It held 8 versions.*backup"
    ) as said:
        open_days(recheck_days=250).index()
    assert str(ledger) in str(said.value)
    assert json.loads(ledger.read_bytes())["units"][str(DAY)]["parts"] == json.loads(before)["units"][str(DAY)]["parts"]
    kept(tmp_path).unlink(missing_ok=True)
    ledger.unlink()
    source = open_days(recheck_days=250)
    assert DAY in source.index().days and source.read([DAY]).beside["revisions"].height == 0


@pytest.mark.parametrize("text", ["[]", "{}", "", "{", '"x"', '{"format": 1, "tables": 5}', '{"format":1,"synced":[]}'])
def test_a_damaged_record_of_the_plan_is_found_out_again(
    open_days: Open, market: FakeMarket, tmp_path: Path, text: str
) -> None:
    market.statements.append(statement(DAY, "72030", "7", Sales="100"))
    before = open_days().index()
    record = tmp_path / "sources/jquants/coverage.json"
    record.write_text(text, encoding="utf-8")
    assert open_days(**OFFLINE).coverage() == Coverage()
    assert open_days().index() == before
    assert json.loads(record.read_text(encoding="utf-8"))["plan"] == "premium"


def test_a_record_of_another_version_is_not_taken_for_a_damaged_one(open_days: Open, tmp_path: Path) -> None:
    open_days().index()
    (tmp_path / "sources/jquants/coverage.json").write_text('{"format": 7}', encoding="utf-8")
    with pytest.raises(SourceError, match="another version of this program"):
        open_days().index()


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"format":1,"units":[]}', '{"format":1}', '{"format":1,"units":{"2024-01-10":{"asked":"x"}}}']
)
def test_a_damaged_ledger_is_named_and_asked_for_again_once_it_is_removed(
    open_days: Open, tmp_path: Path, text: str
) -> None:
    before = open_days().index()
    ledger = tmp_path / "sources/jquants/ledger/quotes/2024-01.json"
    ledger.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=r"quotes/2024-01\.json is not a readable ledger.*Remove this file"):
        open_days().index()
    ledger.unlink()
    assert open_days().index() == before


def odd_calendar(server: JQuantsServer, *odd: Row) -> None:
    """Rows that follow those of the calendar."""
    server.shuffle = lambda rows: [*rows, *odd] if rows and "HolDiv" in rows[0] else rows


@pytest.mark.parametrize(
    "odd",
    [{"Date": None, "HolDiv": "1"}, {"HolDiv": "0"}, {"Date": "2024-01-32", "HolDiv": "1"}, {"Date": "2024-02-01"}],
)
def test_a_row_of_the_calendar_that_says_nothing_is_left_out_and_counted(
    open_days: Open, server: JQuantsServer, market: FakeMarket, odd: Row
) -> None:
    odd_calendar(server, odd)
    source = open_days()
    assert list(source.index().days) == list(market.days)
    coverage = source.coverage()
    assert len(coverage.calendar) == 16 and coverage.left_out == {"calendar": {"2024-01-04": 1}}


@pytest.mark.parametrize("name", ["Date", "HolDiv"])
def test_a_calendar_that_says_nothing_is_refused_and_nothing_of_it_is_kept(
    open_days: Open, server: JQuantsServer, market: FakeMarket, name: str
) -> None:
    server.shuffle = lambda rows: [{key: row[key] for key in row if key != name} for row in rows]
    with pytest.raises(SourceError, match=r"/markets/calendar has no date.* in 16 of 16 rows.*Nothing .* was kept"):
        open_days().index()
    assert open_days().coverage().calendar == {}
    server.shuffle = lambda rows: rows
    assert list(open_days().index().days) == list(market.days)


def test_divisions_may_come_as_numbers(open_days: Open, server: JQuantsServer, market: FakeMarket) -> None:
    server.shuffle = lambda rows: [row | {"HolDiv": float(row["HolDiv"])} if "HolDiv" in row else row for row in rows]
    assert list(open_days().index().days) == list(market.days)


@pytest.mark.parametrize(("day", "division"), [("None", "1"), ("2024-01-10", "None"), ("20240110", "0")])
def test_a_calendar_that_an_earlier_version_spoilt_is_asked_for_again(
    open_days: Open, server: JQuantsServer, day: str, division: str
) -> None:
    source = open_days()
    before = source.index()
    coverage = source.coverage()
    coverage.calendar[day] = division
    source._cache().write_coverage(coverage)
    server.requests.clear()
    assert source.index() == before
    assert len(server.asked("/markets/calendar")) == 1
    every = {str(DAY + timedelta(days=offset)) for offset in range(-6, 10)}
    assert set(source.coverage().calendar) == every
