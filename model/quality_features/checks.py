"""Checks of features and labels: coverage, finiteness, agreement with the catalogue, and no look-ahead."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from model.labels.labels import reach
from model.quality_features.engine import PANEL_COLUMNS, compute_features, feature_schema
from model.quality_features.selection import describe, lookback, max_lookback
from model.quality_features.stage import ASSET, SOURCE
from model.store.checks import Check, CheckOutcome
from model.store.hashing import table_hash
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_MOST_NAMED = 20


def check_null_rates(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Share of nulls of each feature among universe members, once its lookback has passed."""
    dates = _dates(store, partition)
    names = [entry["name"] for entry in store.read_json(ASSET, "catalogue.json", partition)]
    warm = {name: dates[min(lookback(name) - 1, len(dates) - 1)] for name in names}
    nulls, rows = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for month in _months(store, "features", partition):
        members = month.filter("InUniverse")
        late = {name: pl.col("Date") >= day for name, day in warm.items()}
        missing = members.select((pl.col(name).is_null() & late[name]).sum().alias(name) for name in names)
        counted = members.select(late[name].sum().alias(name) for name in names)
        for name in names:
            nulls[name] += missing[name][0]
            rows[name] += counted[name][0]
    rates = {name: nulls[name] / rows[name] for name in names if rows[name]}
    empty = [name for name, rate in rates.items() if rate == 1.0]
    allowed = settings.features.maximum_null_share
    above = {name: rate for name, rate in rates.items() if rate > allowed and name not in empty}
    advice = " Sector features are empty where the source knows no sectors: leave the group out." if empty else ""
    return CheckOutcome(
        not above and not empty,
        f"{len(above)} of {len(names)} features are null for more than {allowed:.0%} of universe members after the "
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
    bad: dict[str, int] = {}
    for table in ("features", "labels"):
        for month in _months(store, table, partition):
            counts = month.select((~pl.selectors.float().is_finite()).sum()).row(0, named=True)
            for name, count in counts.items():
                if count:
                    bad[name] = bad.get(name, 0) + count
    return CheckOutcome(
        not bad, f"{len(bad)} columns hold values that are not finite.", metadata=dict(list(bad.items())[:_MOST_NAMED])
    )


def check_catalogue(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The columns are the catalogue's, in its order and with its types, in every month."""
    expected = list(feature_schema(settings.features).items())
    listed = store.read_json(ASSET, "catalogue.json", partition)
    months = store.chunks(ASSET, "features", partition)
    files = {month: store.path(ASSET, f"features/{month}.parquet", partition) for month in months}
    differing = [month for month, path in files.items() if list(pl.read_parquet_schema(path).items()) != expected]
    same = listed == describe(settings.features)
    return CheckOutcome(
        same and not differing,
        f"{len(listed)} features in the catalogue, which {'is' if same else 'is not'} that of the settings; "
        f"{len(differing)} of {len(months)} months have other columns.",
        metadata={"features": len(listed), "months": differing[:_MOST_NAMED]},
    )


def check_no_look_ahead(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Features recomputed from a panel that ends on the date equal the stored ones, bit for bit."""
    dates = _dates(store, partition)
    count = min(settings.features.checked_dates, len(dates))
    sampled = [dates[(index + 1) * len(dates) // count - 1 - len(dates) // (2 * count)] for index in range(count)]
    reached = max_lookback(settings.features)
    differing: list[str] = []
    for day in sampled:
        start = dates[max(dates.index(day) - reached + 1, 0)]
        panel = store.read_chunks(SOURCE, "panel", start=start, end=day, columns=list(PANEL_COLUMNS))
        again = compute_features(panel, settings.features, day, day, threads=settings.runtime.threads)
        stored = store.read_chunks(ASSET, "features", start=day, end=day, partition=partition)
        differing += [
            f"{day} {name}"
            for name in stored.columns
            if name not in again.columns or table_hash(again.select(name)) != table_hash(stored.select(name))
        ]
    return CheckOutcome(
        not differing,
        f"Recomputed {len(sampled)} dates from data cut at the date: {len(differing)} columns differ from the stored.",
        metadata={"dates": [str(day) for day in sampled], "differing": differing[:_MOST_NAMED]},
    )


def check_labels(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Labels are null exactly where the calendar ends, or where entry or exit has no tradable price."""
    panel = store.read_chunks(SOURCE, "panel", columns=["Date", "Code", "AdjOpen", "AdjClose", "Tradable"])
    tradable = panel.filter(pl.col("Tradable"))
    closes = tradable.filter(pl.col("AdjClose") > 0).select("Date", "Code", pl.lit(True).alias("priced"))
    opens = tradable.filter(pl.col("AdjOpen") > 0).select("Date", "Code", pl.lit(True).alias("priced"))
    days = panel["Date"].unique().sort()
    following = pl.DataFrame({"Date": days, "next": days.shift(-1)})
    horizons = settings.labels.horizons
    wrong = {f"wrong_{h}": 0 for h in horizons}
    rows = nulls = 0
    for frame in _months(store, "labels", partition):
        if settings.labels.entry == "close_to_close":
            entry = _priced_on(frame, closes, frame["Date"])
        else:
            next_day = frame.select("Date").join(following, on="Date", how="left", maintain_order="left")["next"]
            entry = _priced_on(frame, opens, next_day)
        for h in horizons:
            must = entry & _priced_on(frame, closes, frame[f"resolved_{h}"])
            wrong[f"wrong_{h}"] += int((must != frame[f"target_{h}"].is_not_null()).sum())
        rows += frame.height
        nulls += frame[f"target_{horizons[-1]}"].null_count()
    null_share = nulls / max(rows, 1)
    return CheckOutcome(
        not any(wrong.values()),
        f"{sum(wrong.values())} labels are null or present against the panel; {null_share:.1%} are null at the longest "
        f"horizon (the newest {reach(settings.labels)} days have none).",
        metadata={**wrong, "null_share_longest": null_share},
    )


def _priced_on(frame: pl.DataFrame, known: pl.DataFrame, day: pl.Series) -> pl.Series:
    """For each row of the labels, whether its code has a tradable price on another day (null: no such day)."""
    keys = frame.select(day.alias("Date"), "Code")
    near = known.filter(pl.col("Date").is_between(day.min(), day.max())) if day.null_count() < len(day) else known
    return keys.join(near, on=["Date", "Code"], how="left", maintain_order="left")["priced"].fill_null(False)


def _months(store: Store, table: str, partition: str | None) -> Iterator[pl.DataFrame]:
    """One month of a table at a time, so that memory stays small however long the history is."""
    for month in store.chunks(ASSET, table, partition):
        yield store.read_table(ASSET, f"{table}/{month}.parquet", partition)


def _dates(store: Store, partition: str | None) -> list[date]:
    dates: list[date] = (
        store.read_chunks(ASSET, "features", columns=["Date"], partition=partition)["Date"].unique().sort().to_list()
    )
    return dates


CHECKS: tuple[Check, ...] = (
    Check("null_rates", "Features are rarely null once their lookback has passed.", check_null_rates, blocking=False),
    Check("finite", "Missing values are null; nothing is NaN or infinite.", check_finite),
    Check("catalogue_matches_columns", "The catalogue describes exactly the columns.", check_catalogue),
    Check(
        "no_look_ahead", "Recomputed from data cut at sampled dates, features are the same bits.", check_no_look_ahead
    ),
    Check("labels_null_only_where_they_must_be", "A label is null only without a tradable price.", check_labels),
)
