"""The facts of the stored panel are what plain code counts, and are gathered once."""

import math
from collections import defaultdict
from datetime import date
from statistics import median
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.raw_dataset.health import facts
from model.raw_dataset.health.facts import Facts, gather, measure
from model.raw_dataset.settings import QualitySettings
from model.raw_dataset.stage import ASSET

STALE = 4


@pytest.fixture
def dirty(installation: Any) -> Any:
    """Some days with a price off by ten, a standstill, missing names, and a table beside the bars."""
    installation.settings.quality = QualitySettings(stale_days=STALE, outlier_mads=12.0)
    codes = traded(installation)
    change(installation, "2020-05-12", codes[0], Close=pl.col("Close") * 10, High=pl.col("High") * 10)
    for day in ("2020-03-16", "2020-03-17", "2020-03-18", "2020-03-19", "2020-04-01", "2020-04-02"):
        change(installation, day, codes[1], Volume=pl.lit(0))
    still = installation.store.read_table(QUOTES_ASSET, "quotes.parquet", "2020-03-27")
    close = still.filter(pl.col("Code") == codes[2])["Close"][0]
    for day in ("2020-03-30", "2020-03-31", "2020-04-01", "2020-04-02", "2020-04-03"):
        values = {name: pl.lit(close) for name in ("Open", "High", "Low", "Close")}
        change(installation, day, codes[2], **values)
    installation.change("2020-06-10", lambda rows: rows.head(12))
    installation.build()
    return installation


def traded(installation: Any) -> list[str]:
    """Codes that trade on every day and never split."""
    panel = pl.concat(
        installation.store.read_table(QUOTES_ASSET, "quotes.parquet", day)
        for day in installation.store.partitions(QUOTES_ASSET)
    )
    days = panel["Date"].n_unique()
    whole = panel.group_by("Code").agg(
        pl.col("Close").count(), volume=(pl.col("Volume") > 0).sum(), split=(pl.col("AdjustmentFactor") != 1).any()
    )
    return sorted(whole.filter((pl.col("Close") == days) & (pl.col("volume") == days) & ~pl.col("split"))["Code"])


def change(installation: Any, day: str, code: str, **values: pl.Expr) -> None:
    own = pl.col("Code") == code
    installation.change(
        day,
        lambda rows: rows.with_columns(
            pl.when(own).then(value).otherwise(pl.col(name)).cast(rows.schema[name]).alias(name)
            for name, value in values.items()
        ),
    )


def by_hand(panel: pl.DataFrame, k: float) -> dict[date, dict[str, float]]:
    """Counts by day, one row at a time."""
    days = panel["Date"].unique().sort().to_list()
    place = {day: at for at, day in enumerate(days)}
    counts: dict[date, dict[str, float]] = {day: defaultdict(float) for day in days}
    moves: dict[date, list[tuple[float, float | None]]] = defaultdict(list)
    for _, rows in panel.sort("Date").group_by("Code", maintain_order=True):
        quiet = same = 0
        before: tuple[date, float] | None = None
        closes = [close for close in rows["AdjClose"] if close is not None]
        seen = 0
        for row in rows.iter_rows(named=True):
            day, close = row["Date"], row["AdjClose"]
            counts[day]["rows"] += 1
            quiet = 0 if row["Tradable"] else quiet + 1
            counts[day]["quiet"] += quiet >= STALE
            if close is None:
                continue
            counts[day]["priced"] += 1
            seen += 1
            same = same + 1 if before is not None and close == before[1] else 1
            counts[day]["stale"] += same >= STALE
            if before is not None and place[day] - place[before[0]] == 1:
                ahead = math.log(closes[seen] / close) if seen < len(closes) else None
                moves[day].append((math.log(close / before[1]), ahead))
            before = (day, close)
    for day, of_day in moves.items():
        middle = median(move for move, _ in of_day)
        spread = 1.4826 * max(median(abs(move - middle) for move, _ in of_day), 1e-4)
        far = [(move, ahead) for move, ahead in of_day if abs(move - middle) > k * spread]
        undone = [move for move, ahead in far if ahead is not None and abs(move + ahead) <= 0.25 * abs(move)]
        counts[day] |= {"returns": len(of_day), "outliers": len(far), "reversed": len(undone), "median": middle}
    return counts


def test_daily_counts_are_those_of_a_plain_loop(dirty: Any) -> None:
    found = gather(dirty.store, dirty.settings)
    panel = dirty.store.read_chunks(ASSET, "panel")
    expected = by_hand(panel, 12.0)
    for row in found.daily.iter_rows(named=True):
        of_day = expected[row["Date"]]
        for name in ("rows", "priced", "quiet", "stale", "returns", "outliers", "reversed"):
            assert row[name] == of_day[name], (row["Date"], name)
        if of_day["returns"]:
            assert row["median_return"] == pytest.approx(of_day["median"], abs=1e-12)
    assert found.daily["quiet"].sum() >= 1 and found.daily["stale"].sum() >= 3
    assert found.daily["reversed"].sum() >= 1
    assert found.histogram["count"].sum() == found.daily["returns"].sum()
    assert found.daily["turnover"].to_list() == pytest.approx(
        panel.group_by("Date").agg(pl.col("TurnoverValue").sum()).sort("Date")["TurnoverValue"].to_list()
    )


def test_streaks_name_the_code_and_its_last_day(dirty: Any) -> None:
    found = gather(dirty.store, dirty.settings).streaks
    codes = traded(dirty)
    quiet = found.filter((pl.col("kind") == "quiet") & (pl.col("days") == 4)).select("Code", "Date").rows()
    stale = found.filter((pl.col("kind") == "stale") & (pl.col("days") == 6)).select("Date").rows()
    assert any(day == date(2020, 3, 19) and code not in codes for code, day in quiet)
    assert (date(2020, 4, 3),) in stale


def test_splits_are_the_rows_with_a_factor_and_run_on(dirty: Any) -> None:
    found = gather(dirty.store, dirty.settings).splits
    panel = dirty.store.read_chunks(ASSET, "panel")
    step = pl.col("AdjustmentCumulative") != pl.col("AdjustmentCumulative").shift(1).over("Code")
    assert found.height == panel.drop_nulls("AdjClose").filter(step.fill_null(False)).height > 3
    assert found["excess_return"].abs().max() < 0.4
    assert found["factor"].min() < 1


def test_nulls_are_counted_by_table_column_and_month(dirty: Any) -> None:
    found = gather(dirty.store, dirty.settings).nulls
    january = dirty.store.read_chunks(ASSET, "panel", end=date(2020, 1, 31))
    row = found.filter((pl.col("table") == "panel") & (pl.col("column") == "Close") & (pl.col("month") == "2020-01"))
    assert row.select("rows", "nulls").row(0) == (january.height, january["Close"].null_count())


def test_facts_are_gathered_once_for_one_content(dirty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = gather(dirty.store, dirty.settings)
    monkeypatch.setattr(facts, "measure", lambda *_: pytest.fail("measured again"))
    again = gather(dirty.store, dirty.settings)
    assert_equal(first, again)


def test_another_content_or_setting_is_measured_anew_and_the_old_facts_go(dirty: Any) -> None:
    before = gather(dirty.store, dirty.settings)
    dirty.change("2020-05-20", lambda rows: rows.with_columns(Close=pl.col("Close") * 1.0001))
    dirty.build()
    after = gather(dirty.store, dirty.settings)
    assert not after.histogram.equals(before.histogram) or not after.daily.equals(before.daily)
    dirty.settings.quality = QualitySettings(stale_days=2)
    assert gather(dirty.store, dirty.settings).daily["stale"].sum() > after.daily["stale"].sum()
    assert len(list((dirty.store.home / "cache" / "raw_dataset_health").iterdir())) == 1


def test_facts_do_not_depend_on_what_was_gathered_before(dirty: Any) -> None:
    assert_equal(gather(dirty.store, dirty.settings), measure(dirty.store, dirty.settings))


def assert_equal(one: Facts, other: Facts) -> None:
    for name, frame in vars(one).items():
        assert frame.equals(getattr(other, name)), name
