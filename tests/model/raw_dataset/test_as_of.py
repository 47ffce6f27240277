"""With ``quality.as_of`` the data set is what it was at that moment."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from model.daily_quotes.beside import TABLES
from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.source import open_source
from model.daily_quotes.stage import ingest
from model.raw_dataset.settings import QualitySettings, UniverseSettings
from model.raw_dataset.stage import ASSET
from model.store.manifest import Identity
from model.store.store import Store
from tests.model.raw_dataset.synthetic import DAYS, Market, build, linked, local, sections


def as_known(moment: datetime | None, **keys: Any) -> Any:
    quality = QualitySettings(min_names=2, min_days=5, max_quarantined_share=1.0, as_of=moment)
    return sections(quality=quality, universe=UniverseSettings(size=None), **keys)


def test_a_past_day_is_rebuilt_from_what_was_known_then(tmp_path: Path, handmade: Market, built: Store) -> None:
    then, later = local(DAYS[40], 20), local(DAYS[50], 10)
    first = linked(built, tmp_path / "then", only_days=True)
    build(first, as_known(datetime(2030, 1, 1, tzinfo=UTC)), until=DAYS[40])
    on = (pl.col("Date") == DAYS[12]) & (pl.col("Code") == "7203")
    old = handmade.quotes.filter(on)
    fixed = handmade.quotes.with_columns(
        Close=pl.when(on).then(pl.col("Close") + 1.0).otherwise("Close"),
        KnownAt=pl.when(on).then(pl.lit(later)).otherwise("KnownAt"),
    )
    revisions = old.with_columns(SupersededAt=pl.lit(later)).select(list(TABLES["revisions"].schema))
    second = linked(built, tmp_path / "now", only_days=True)
    handmade.with_quotes(fixed).with_table("revisions", revisions).publish(second, [DAYS[12]])
    build(second, as_known(then))
    for table in ("panel", "slow", "market"):
        assert second.read_chunks(ASSET, table).equals(first.read_chunks(ASSET, table)), table
    build(second, as_known(later))
    close = second.read_chunks(ASSET, "panel").filter(on)["Close"]
    assert close.to_list() == [old["Close"][0] + 1.0]
    assert second.read_table(ASSET, "calendar.parquet")["Date"].max() == DAYS[49]


def test_a_corrected_level_counts_from_its_correction_and_the_older_one_before(
    tmp_path: Path, handmade: Market, bare: Store
) -> None:
    indices = handmade.beside["indices"]
    on = (pl.col("Date") == DAYS[12]) & (pl.col("IndexCode") == "TOPIX")
    old = indices.filter(on)
    fixed = old.with_columns(pl.col("Close") + 1.0, PublishedAt=pl.lit(local(DAYS[30], 9)))
    store = linked(bare, tmp_path, only_days=True)
    market = Market(handmade.quotes, {}).with_table("indices", pl.concat([indices, fixed]))
    market.publish(store, DAYS)
    closes = []
    for moment in (local(DAYS[29], 20), local(DAYS[30], 9), None):
        build(store, as_known(moment))
        table = store.read_chunks(ASSET, "market")
        assert table["Date"].is_unique().all()
        closes.append(table.filter(pl.col("Date") == DAYS[12])["IndexClose"].item())
    assert closes == [old["Close"][0], old["Close"][0] + 1.0, old["Close"][0] + 1.0]


def test_a_row_that_was_withdrawn_or_not_there_yet_is_as_it_was_then(
    tmp_path: Path, handmade: Market, bare: Store
) -> None:
    on = (pl.col("Date") == DAYS[12]) & (pl.col("Code") == "7203")
    late = (pl.col("Date") == DAYS[12]) & (pl.col("Code") == "9984")
    withdrawn = handmade.quotes.filter(on).with_columns(SupersededAt=pl.lit(local(DAYS[20], 9)))
    known = pl.when(late).then(pl.lit(local(DAYS[20], 9))).otherwise("KnownAt")
    after = Market(handmade.quotes, {}).with_quotes(handmade.quotes.filter(~on).with_columns(KnownAt=known))
    after = after.with_table("revisions", withdrawn.select(list(TABLES["revisions"].schema)))
    store = linked(bare, tmp_path, only_days=True)
    after.publish(store, [DAYS[12]])
    there = []
    for moment in (local(DAYS[19], 20), local(DAYS[20], 9)):
        build(store, as_known(moment))
        codes = store.read_chunks(ASSET, "panel").filter(pl.col("Date") == DAYS[12])["Code"].to_list()
        there.append(("7203" in codes, "9984" in codes))
    assert there == [(True, False), (False, True)]


def test_a_day_that_was_served_late_is_not_there_before(tmp_path: Path, handmade: Market, bare: Store) -> None:
    late = next(day for day in DAYS if day.month == 12)  # on which the universe is chosen again
    served = local(DAYS[DAYS.index(late) + 1], 9)
    known = pl.when(pl.col("Date") == late).then(pl.lit(served)).otherwise("KnownAt")
    store = linked(bare, tmp_path, only_days=True)
    Market(handmade.quotes, {}).with_quotes(handmade.quotes.with_columns(KnownAt=known)).publish(store, DAYS)
    newest = []
    for moment in (local(late, 20), served):
        build(store, sections(quality=as_known(moment).quality))
        dates = store.read_table(ASSET, "calendar.parquet")["Date"].max()
        newest.append((dates, store.read_table(ASSET, "universe.parquet")["EffectiveDate"].max() == late))
    assert newest == [(DAYS[DAYS.index(late) - 1], False), (late, True)]


def test_a_withdrawn_level_is_missing_from_its_withdrawal_on(tmp_path: Path, handmade: Market, bare: Store) -> None:
    indices = handmade.beside["indices"]
    old = indices.filter((pl.col("Date") == DAYS[12]) & (pl.col("IndexCode") == "TOPIX"))
    nothing = [pl.lit(None, pl.Float64()).alias(name) for name in ("Open", "High", "Low", "Close")]
    gone = old.with_columns(*nothing, PublishedAt=pl.lit(local(DAYS[20], 9)))
    back = old.with_columns(PublishedAt=pl.lit(local(DAYS[30], 9)))
    store = linked(bare, tmp_path, only_days=True)
    Market(handmade.quotes, {}).with_table("indices", pl.concat([indices, gone, back])).publish(store, DAYS)
    closes = []
    for moment in (local(DAYS[19], 20), local(DAYS[29], 20), local(DAYS[30], 9), None):
        build(store, as_known(moment))
        table = store.read_chunks(ASSET, "market")
        closes.append(table.filter(pl.col("Date") == DAYS[12])["IndexClose"].item())
    assert closes == [old["Close"][0], None, old["Close"][0], old["Close"][0]]


def test_the_simulated_market_as_it_was_known_is_the_one_that_ended_then(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 10, 12, tzinfo=UTC)
    quality = QualitySettings(max_quarantined_share=1.0, max_bad_close_share=1.0, min_days=5)
    tables = []
    for end, as_of in ((date(2024, 5, 31), moment), (date(2024, 5, 10), None)):
        market = SimulatedSource(stocks=30, start=date(2024, 3, 18), end=end, revision_rate=0.01, correction_rate=0.3)
        settings = sections(source=market, quality=quality.model_copy(update={"as_of": as_of}))
        store = Store(tmp_path / str(end))
        identities = {day: Identity({}, "code", "settings") for day in open_source(settings).index().days}
        assert list(ingest(store, settings, identities))
        build(store, settings)
        tables.append({name: store.read_chunks(ASSET, name) for name in ("panel", "slow", "market")})
    for name, table in tables[0].items():
        assert table.equals(tables[1][name]), name
