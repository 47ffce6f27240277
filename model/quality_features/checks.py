"""Checks of features and labels: coverage, finiteness, agreement with the catalogue, and no look-ahead."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from model.labels.distribution import check_distribution
from model.labels.labels import reach
from model.quality_features.bands import bands, catalogue_document
from model.quality_features.bands_compute import compute_job
from model.quality_features.bands_jobs import Job
from model.quality_features.coverage import read_coverage
from model.quality_features.engine import feature_schema
from model.quality_features.read import ASSET, DAYS_FILE, KEY, TABLE, is_band, read_features
from model.quality_features.rows_panel import Panel
from model.quality_features.stage import LABELS
from model.store.checks import Check, CheckOutcome
from model.store.hashing import table_hash
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_MOST_NAMED = 20
_MOST_LABEL_MONTHS = 24


def check_null_rates(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Share of nulls of each feature among universe members, from the month after its lookback has passed."""
    dates = _dates(store)
    lookback = {entry["name"]: int(entry["lookback_days"]) for entry in store.read_json(ASSET, "catalogue.json")}
    warm = {name: f"{dates[min(days - 1, len(dates) - 1)]:%Y-%m}" for name, days in lookback.items()}
    late = pl.col("month") > pl.col("column").replace_strict(warm, return_dtype=pl.String)
    counted = read_coverage(store).filter(pl.col("column").is_in(list(warm)), pl.col("table") != LABELS).filter(late)
    totals = counted.group_by("column").agg(pl.col("nulls", "members").sum()).filter(pl.col("members") > 0)
    rates = dict(totals.select("column", pl.col("nulls") / pl.col("members")).sort("column").iter_rows())
    empty = [name for name, rate in rates.items() if rate == 1.0]
    allowed = settings.features.maximum_null_share
    above = {name: rate for name, rate in rates.items() if rate > allowed and name not in empty}
    advice = " Sector features are empty where the source knows no sectors: leave the group out." if empty else ""
    return CheckOutcome(
        not above and not empty,
        f"{len(above)} of {len(lookback)} features are null for more than {allowed:.0%} of universe members after the "
        f"warm-up, {len(empty)} are entirely empty.{advice}",
        severity="warn",
        metadata={
            "largest_null_share": max((rate for rate in rates.values() if rate < 1.0), default=0.0),
            "empty": empty,
            **{f"null_share_{name}": above[name] for name in sorted(above, key=above.__getitem__)[-_MOST_NAMED:]},
        },
    )


def check_finite(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No feature and no label holds NaN or an infinity: what is missing is null."""
    counted = read_coverage(store).filter(pl.col("not_finite") > 0)
    bad = counted.group_by("column").agg(pl.col("not_finite").sum()).sort("not_finite", "column", descending=True)
    return CheckOutcome(
        bad.is_empty(),
        f"{bad.height} columns hold values that are not finite.",
        metadata=dict(bad.head(_MOST_NAMED).iter_rows()),
    )


def check_catalogue(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The columns are the catalogue's, each in its band and with its type, in every month."""
    layout = bands(settings.features)
    types = feature_schema(settings.features)
    listed = store.read_json(ASSET, "catalogue.json")
    manifest = store.require(ASSET)
    expected = {band.table: {name: str(types[name]) for name in (*band.head, *band.names)} for band in layout}
    found = {name: entry.columns for name, entry in manifest.files.items() if is_band(name.partition("/")[0])}
    differing = [name for name, columns in found.items() if columns != expected.get(name.partition("/")[0])]
    months = store.chunks(ASSET, TABLE)
    absent = [
        f"{table}/{month}" for table in expected for month in months if f"{table}/{month}.parquet" not in manifest.files
    ]
    same = listed == catalogue_document(settings.features, layout)
    return CheckOutcome(
        same and not differing and not absent,
        f"{len(listed)} features in the catalogue, which {'is' if same else 'is not'} that of the settings; "
        f"{len(differing)} of {len(found)} chunks have other columns, {len(absent)} are absent.",
        metadata={"features": len(listed), "chunks": differing[:_MOST_NAMED], "absent": absent[:_MOST_NAMED]},
    )


def check_no_look_ahead(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Features recomputed from a panel that ends on the date equal the stored ones, bit for bit."""
    dates = _dates(store)
    count = min(settings.features.checked_dates, len(dates))
    sampled = [dates[(index + 1) * len(dates) // count - 1 - len(dates) // (2 * count)] for index in range(count)]
    panel = Panel(store)
    names = tuple(column.name for band in bands(settings.features) for column in band.columns)
    differing: list[str] = []
    for day in sampled:
        job = Job(day, day, names, None)
        again = compute_job(panel, dates, settings.features, job, threads=settings.runtime.threads)
        stored = read_features(store, start=day, end=day, columns=again.columns)
        differing += [
            f"{day} {name}"
            for name in stored.columns
            if table_hash(again.select(name)) != table_hash(stored.select(name))
        ]
    return CheckOutcome(
        not differing,
        f"Recomputed {len(sampled)} dates from data cut at the date: {len(differing)} columns differ from the stored.",
        metadata={"dates": [str(day) for day in sampled], "differing": differing[:_MOST_NAMED]},
    )


def check_labels(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Labels are null exactly where the calendar ends, or where entry or exit has no tradable price.

    Of a long history some months are looked at, at even steps, the newest among them.
    """
    days, panel = _dates(store), Panel(store)
    horizons = settings.labels.horizons
    wrong = {f"wrong_{h}": 0 for h in horizons}
    rows = nulls = looked_at = 0
    for frame in _label_months(store):
        first = bisect_left(days, frame["Date"][0])
        last = bisect_left(days, frame["Date"][-1])
        around = days[first : last + reach(settings.labels) + 1]
        prices = panel.window(around[0], around[-1], dict.fromkeys(("AdjOpen", "AdjClose", "Tradable"), around[0]))
        tradable = prices.filter(pl.col("Tradable"))
        closes = tradable.filter(pl.col("AdjClose") > 0).select(*KEY, pl.lit(True).alias("priced"))
        if settings.labels.entry == "close_to_close":
            entry = _priced_on(frame, closes, frame["Date"])
        else:
            opens = tradable.filter(pl.col("AdjOpen") > 0).select(*KEY, pl.lit(True).alias("priced"))
            entry = _priced_on(frame, opens, _following(frame["Date"], around))
        for h in horizons:
            must = entry & _priced_on(frame, closes, frame[f"resolved_{h}"])
            wrong[f"wrong_{h}"] += int((must != frame[f"target_{h}"].is_not_null()).sum())
        rows += frame.height
        nulls += frame[f"target_{horizons[-1]}"].null_count()
        looked_at += 1
    null_share = nulls / max(rows, 1)
    return CheckOutcome(
        not any(wrong.values()),
        f"{sum(wrong.values())} labels of {looked_at} months are null or present against the panel; {null_share:.1%} "
        f"are null at the longest horizon (the newest {reach(settings.labels)} days have none).",
        metadata={**wrong, "months": looked_at, "null_share_longest": null_share},
    )


def _label_months(store: Store) -> Iterator[pl.DataFrame]:
    """At most so many months of labels at even steps, the newest among them; one in memory at a time."""
    months = list(store.chunks(ASSET, LABELS))
    step = -(-len(months) // _MOST_LABEL_MONTHS)
    for month in months[::-1][::step][::-1]:
        yield store.read_table(ASSET, f"{LABELS}/{month}.parquet")


def _following(dates: pl.Series, days: Sequence[date]) -> pl.Series:
    """The trading day after each date; null after the last."""
    return dates.replace_strict(list(days), [*days[1:], None], return_dtype=pl.Date)


def _priced_on(frame: pl.DataFrame, known: pl.DataFrame, day: pl.Series) -> pl.Series:
    """For each row of the labels, whether its code has a tradable price on another day (null: no such day)."""
    keys = frame.select(day.alias("Date"), "Code")
    return keys.join(known, on=KEY, how="left", maintain_order="left")["priced"].fill_null(False)


def _dates(store: Store) -> tuple[date, ...]:
    """The trading days of the features."""
    return tuple(store.read_table(ASSET, DAYS_FILE, columns=["Date"])["Date"].to_list())


def check_label_distribution(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Labels of universe members are distributed as returns are."""
    return check_distribution(_members(_label_months(store)), settings.labels.horizons)


def _members(months: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for month in months:
        yield month.filter(pl.col("InUniverse"))


CHECKS: tuple[Check, ...] = (
    Check("null_rates", "Features are rarely null once their lookback has passed.", check_null_rates, blocking=False),
    Check("finite", "Missing values are null; nothing is NaN or infinite.", check_finite),
    Check("catalogue_matches_columns", "The catalogue describes exactly the columns.", check_catalogue),
    Check(
        "no_look_ahead", "Recomputed from data cut at sampled dates, features are the same bits.", check_no_look_ahead
    ),
    Check("labels_null_only_where_they_must_be", "A label is null only without a tradable price.", check_labels),
    Check("label_distribution", "Labels are distributed as returns are.", check_label_distribution, blocking=False),
)
