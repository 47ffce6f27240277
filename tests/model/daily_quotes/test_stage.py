"""Days in the store: one artefact each, readable, and judged by their checks."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.beside import TABLES
from model.daily_quotes.checks import CHECKS
from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import ASSET, KEY, QUOTES, RECEIVED
from model.daily_quotes.settings import CalendarSettings, FilesSource, SimulatedSource
from model.daily_quotes.sources.source import open_source
from model.daily_quotes.stage import ingest, materialise
from model.errors import DataError, SourceError
from model.raw_dataset.settings import QualitySettings
from model.store.manifest import Identity
from model.store.stage import StageRun
from model.store.store import Store

TODAY = date(2020, 12, 31)


def sections(source: SimulatedSource | FilesSource) -> Any:
    """The sections that this room reads."""
    return SimpleNamespace(source=source, calendar=CalendarSettings(), quality=QualitySettings())


@pytest.fixture(scope="module")
def simulated() -> Any:
    return sections(SimulatedSource(stocks=30, start=date(2020, 1, 6), end=date(2020, 1, 31)))


def identities(settings: Any) -> dict[date, Identity]:
    days = open_source(settings, today=TODAY).index().days
    return {day: Identity({"source": content}, "code", "settings") for day, content in days.items()}


def failed(store: Store, settings: Any, day: str) -> set[str]:
    return {check.name for check in CHECKS if not check.run(store, settings, day).passed}


def test_each_day_becomes_an_artefact_of_its_own_that_passes_its_checks(tmp_path: Path, simulated: Any) -> None:
    store, seen = Store(tmp_path), []
    tables = {QUOTES, *(table.file for name, table in TABLES.items() if name != "revisions")}
    wanted = identities(simulated)
    done = dict(ingest(store, simulated, wanted, lambda done, total, note="": seen.append((done, total))))
    assert list(done) == list(wanted) and store.partitions(ASSET) == [day.isoformat() for day in wanted]
    assert seen == [(place, len(wanted)) for place in range(1, len(wanted) + 1)]
    for day, manifest in done.items():
        table = store.read_table(ASSET, QUOTES, day.isoformat())
        assert table["Date"].unique().to_list() == [day]
        assert manifest.first_date == manifest.last_date == day and set(manifest.files) == tables
        assert not failed(store, simulated, day.isoformat())


def test_one_day_alone_is_the_same_as_that_day_among_many(tmp_path: Path, simulated: Any) -> None:
    wanted = identities(simulated)
    day = list(wanted)[3]
    many = dict(ingest(Store(tmp_path / "many"), simulated, wanted))
    alone = materialise(StageRun(Store(tmp_path / "one"), simulated, wanted[day], day.isoformat()))
    assert alone.content_hash == many[day].content_hash


def test_files_are_kept_as_received_beside_the_canonical_form(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    lines = [f"2020-01-0{day},{code},1,2,1,2,300,x" for code in range(1000, 1025) for day in (6, 7)]
    path.write_text("day,Code,Open,High,Low,Close,Volume,note\n" + "\n".join(lines) + "\n")
    settings = sections(FilesSource(path=str(path), columns={"Date": "day"}))
    store = Store(tmp_path / "home")
    for day, _ in ingest(store, settings, identities(settings)):
        received = store.read_table(ASSET, RECEIVED, day.isoformat())
        assert received.columns == ["day", "Code", "Open", "High", "Low", "Close", "Volume", "note"]
        assert received.height == 25 and set(received.dtypes) == {pl.String}
        assert not failed(store, settings, day.isoformat())


def test_too_few_names_and_unknown_days_are_refused_before_anything_is_written(tmp_path: Path, simulated: Any) -> None:
    store = Store(tmp_path)
    lonely = sections(SimulatedSource(stocks=2, start=date(2020, 1, 6), end=date(2020, 1, 31), late_listing_share=0.0))
    with pytest.raises(DataError, match=r"at least 20.*quality\.min_names"):
        list(ingest(store, lonely, identities(lonely)))
    with pytest.raises(SourceError, match="no rows on 1 of the 1 days"):
        list(ingest(store, simulated, {date(2019, 1, 7): Identity({}, "", "")}))
    with pytest.raises(SourceError, match="name the day"):
        materialise(StageRun(store, simulated, Identity({}, "", "")))
    assert store.partitions(ASSET) == []


def test_a_day_on_which_the_whole_exchange_stood_still_passes(tmp_path: Path, simulated: Any) -> None:
    store = Store(tmp_path)
    day, identity = next(iter(identities(simulated).items()))
    rows = open_source(simulated).read([day]).quotes
    nothing = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ("Open", "High", "Low", "Close")]
    with store.writer(ASSET, day.isoformat(), identity) as writer:
        writer.table(QUOTES, rows.with_columns(nothing), key=KEY)
    assert not failed(store, simulated, day.isoformat())


def test_a_day_without_any_price_can_be_ingested_alone_and_among_others(tmp_path: Path, simulated: Any) -> None:
    wanted = identities(simulated)
    source = open_source(simulated, today=TODAY)
    still, *others = wanted
    batch = source.read(list(wanted))
    nothing = [
        pl.when(pl.col("Date") != still).then(pl.col(name)).alias(name) for name in ("Open", "High", "Low", "Close")
    ]
    outage = replace(batch, quotes=batch.quotes.with_columns(nothing))
    for days in ([still], [still, *others]):
        store = Store(tmp_path / str(len(days)))
        read = SimpleNamespace(read=lambda wanted: outage.only(tuple(wanted)))
        assert list(dict(ingest(store, simulated, {day: wanted[day] for day in days}, source=read))) == days
        assert store.read_table(ASSET, QUOTES, str(still))["Close"].count() == 0
    few = replace(outage, quotes=outage.quotes.filter(pl.col("Code") <= sorted(outage.quotes["Code"].unique())[2]))
    read = SimpleNamespace(read=lambda wanted: few.only(tuple(wanted)))
    with pytest.raises(DataError, match="a cross-section needs at least 20"):
        list(ingest(Store(tmp_path / "few"), simulated, {still: wanted[still]}, source=read))


def test_a_thin_day_is_refused_in_a_first_load_and_taken_in_a_later_one(tmp_path: Path, simulated: Any) -> None:
    wanted = identities(simulated)
    batch = open_source(simulated, today=TODAY).read(list(wanted))
    thin, *others = wanted
    few = pl.col("Code").is_in(sorted(batch.quotes["Code"].unique())[:12])
    source = SimpleNamespace(
        read=lambda days: replace(batch, quotes=batch.quotes.filter(few | (pl.col("Date") != thin))).only(tuple(days))
    )
    store = Store(tmp_path)
    with pytest.raises(DataError, match="a cross-section needs at least 20"):
        list(ingest(store, simulated, {thin: wanted[thin]}, source=source))
    list(ingest(store, simulated, {day: wanted[day] for day in others}, source=source))
    list(ingest(store, simulated, {thin: wanted[thin]}, source=source))
    assert store.read_table(ASSET, QUOTES, str(thin)).height == 12
    assert not failed(store, simulated, str(thin))


def test_names_are_judged_on_days_with_prices_and_there_must_be_one() -> None:
    require_names(pl.Series([0, 0, 0, 25]), 25, 20)
    with pytest.raises(DataError, match="the median day has 19 names"):
        require_names(pl.Series([0, 19, 30, 19]), 30, 20)
    with pytest.raises(DataError, match="the median day has 0 names"):
        require_names(pl.Series([0, 0]), 30, 20)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (lambda rows: rows.with_columns(pl.col("Volume").cast(pl.Float64)), "schema"),
        (lambda rows: rows.with_columns(KnownAt=pl.lit(None, dtype=rows.schema["KnownAt"])), "schema"),
        (lambda rows: rows.with_columns(Low=-pl.col("Low")), "price_sanity"),
        (lambda rows: rows.with_columns(Close=pl.lit(0.0)), "price_sanity"),
        (lambda rows: rows.head(5), "number_of_names"),
    ],
)
def test_damage_is_found_by_its_check(tmp_path: Path, simulated: Any, damage: Any, name: str) -> None:
    store = Store(tmp_path)
    day, identity = next(iter(identities(simulated).items()))
    rows = open_source(simulated).read([day]).quotes
    with store.writer(ASSET, day.isoformat(), identity) as writer:
        writer.table(QUOTES, damage(rows), key=KEY)
    assert name in failed(store, simulated, day.isoformat())
