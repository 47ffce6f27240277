"""Checks of ``raw_dataset``: in step with the days, complete, adjusted, and free of what looks like an error.

The figures come from the facts of the stored panel (:mod:`model.raw_dataset.health.facts`), gathered once for all
checks and for the page. Suspicions only warn unless ``quality.checks`` says otherwise: they are for a person to judge.
"""

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from model.daily_quotes.calendar import trading_days
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.raw_dataset.anomalies import KINDS
from model.raw_dataset.health.facts import gather
from model.raw_dataset.health.needs import unmet_needs
from model.raw_dataset.stage import ASSET, CALENDAR_FILE, LEFT_OUT, QUARANTINE_FILE, REPORT_FILE, day_contents
from model.store.checks import Check, CheckOutcome
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_SPLIT_JUMP = 0.6
"""A split-adjusted log return this far from its day's median, on the day of a split, says that the factor is wrong."""
_WRONG_SPLITS_SHARE = 0.05
_THIN_DAY = 0.7
_DAYS_AROUND = 20
"""A day is thin with less than this share of the names that the days before it had (their median)."""
_OUTLIER_SHARE = 0.005
_STALE_SHARE = 0.05
_MOST_NAMED = 20


def check_in_step(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The panel was made from the days as they are now, all that the source has."""
    manifest = store.require(ASSET)
    used = {day.isoformat(): content for day, content in day_contents(manifest.inputs).items()}
    left_out: list[str] = manifest.extra.get(LEFT_OUT, [])
    stored = [day for day in store.partitions(QUOTES_ASSET) if day not in left_out]
    now = {day: store.require(QUOTES_ASSET, day).content_hash for day in stored}
    changed = sorted(day for day in used.keys() & now.keys() if used[day] != now[day])
    added, gone = sorted(now.keys() - used.keys()), sorted(used.keys() - now.keys())
    unused = f" {len(left_out)} in the store are not used: the source no longer has them." if left_out else ""
    return CheckOutcome(
        passed=not (changed or added or gone),
        summary=f"{len(used)} days used; {len(changed)} changed since, {len(added)} are new, {len(gone)} are gone."
        + unused,
        metadata={
            "days": len(used),
            "changed": changed[:20],
            "new": added[:20],
            "gone": gone[:20],
            "left_out": left_out[:20],
        },
    )


def check_no_missing_day(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every trading day of the calendar between the first and the last day is there."""
    found: list[date] = store.read_table(ASSET, CALENDAR_FILE)["Date"].to_list()
    expected = trading_days(settings.calendar, found[0], found[-1], observed=found)
    missing = sorted(set(expected) - set(found))
    closed = sorted(set(found) - set(expected))
    return CheckOutcome(
        passed=not (missing or closed),
        severity="warn",
        summary=f"{len(found)} days; {len(missing)} trading days are missing, {len(closed)} are not on the calendar.",
        metadata={
            "days": len(found),
            "missing_days": len(missing),
            "days_off_the_calendar": len(closed),
            "missing": [day.isoformat() for day in missing[:20]],
            "not_on_calendar": [day.isoformat() for day in closed[:20]],
        },
    )


def check_continuity_at_splits(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Adjusted prices run on across splits: a wrong or inverted factor leaves a jump against the day's median."""
    splits = gather(store, settings).splits
    jumps = splits.filter(pl.col("excess_return").abs() > _SPLIT_JUMP)
    typical = splits["excess_return"].abs().median()
    return CheckOutcome(
        passed=jumps.height <= max(1, round(_WRONG_SPLITS_SHARE * splits.height)),
        summary=f"{splits.height} splits and consolidations; {jumps.height} leave a jump in the adjusted close.",
        metadata={
            "splits": splits.height,
            "jumps": jumps.height,
            "median_absolute_excess_return": typical,
            "where": _where(jumps),
        },
    )


def check_quarantined_share(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The share of rows with a defect is within its limit, and the report agrees with the quarantined rows."""
    report = store.read_json(ASSET, REPORT_FILE)
    stored = store.read_table(ASSET, QUARANTINE_FILE, columns=["Date"]).height
    share, limit = float(report["defective_share"]), settings.quality.max_quarantined_share
    return CheckOutcome(
        passed=share <= limit and stored == report["quarantined_rows"],
        summary=f"{report['defective_rows']} of {report['rows']} rows have a defect ({share:.2%}; limit {limit:.2%}).",
        metadata={"defective_share": share, "quarantined_rows": stored, **report["reasons"]},
    )


def check_coverage(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No day has far fewer names than the days before it: half a file looks like half a market."""
    daily = gather(store, settings).daily
    thin = thin_days(daily)
    newest, usual = daily.row(-1, named=True), np.median(daily["priced"].to_numpy())
    return CheckOutcome(
        passed=thin.is_empty(),
        severity="warn",
        summary=f"{daily.height} days with {usual:.0f} names on the median day; {thin.height} have "
        f"fewer than {_THIN_DAY:.0%} of the names of the {_DAYS_AROUND} days before. The newest day, {newest['Date']}, "
        f"has {newest['priced']}.",
        metadata={
            "days": daily.height,
            "rows": int(daily["rows"].sum()),
            "names_on_median_day": float(usual),
            "names_on_newest_day": newest["priced"],
            "newest_day": newest["Date"].isoformat(),
            "thin_days": thin.height,
            "where": [f"{day} {names} names" for day, names in thin.select("Date", "priced").tail(20).iter_rows()],
        },
    )


def thin_days(daily: pl.DataFrame) -> pl.DataFrame:
    """Days with far fewer names than before; one without any (the exchange stood still) is not thin."""
    usual = pl.col("priced").shift(1).rolling_median(_DAYS_AROUND, min_samples=_DAYS_AROUND // 2)
    return daily.with_columns(usual=usual).filter(
        (pl.col("priced") < _THIN_DAY * pl.col("usual")) & (pl.col("priced") > 0)
    )


def check_null_shares(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No column of the panel is null too often; one that is null throughout is one that the source does not have."""
    nulls = gather(store, settings).nulls.filter(pl.col("table") == "panel")
    shares = nulls.group_by("column", maintain_order=True).agg(share=pl.col("nulls").sum() / pl.col("rows").sum())
    absent = shares.filter(pl.col("share") == 1.0)["column"].to_list()
    found = {name: share for name, share in shares.iter_rows() if name not in absent}
    limit = settings.quality.max_panel_null_share
    above = {name: share for name, share in found.items() if share > limit}
    worst = ", ".join(f"{name} {share:.1%}" for name, share in sorted(above.items(), key=lambda item: -item[1])[:5])
    return CheckOutcome(
        passed=not above,
        severity="warn",
        summary=f"{len(above)} of {len(found)} columns are null in more than {limit:.0%} of the rows"
        f"{f' ({worst})' if worst else ''}; not in this source: {', '.join(absent) or 'none'}.",
        metadata={"absent": absent, **{f"null_share_{name}": share for name, share in found.items()}},
    )


def check_tables_needed(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Each table and column that the selected features read is there, and its newest rows are not old."""
    needs = unmet_needs(store, settings)
    return CheckOutcome(
        passed=not (needs.absent or needs.empty or needs.stale),
        severity="warn",
        summary=needs.sentence(),
        metadata={
            "tables": len(needs.rows),
            "absent": [f"{name} ({len(features)} features)" for name, features in needs.absent.items()],
            "empty": list(needs.empty),
            "features_without_input": len({each for features in needs.absent.values() for each in features}),
            **{f"rows_{name}": rows for name, rows in needs.rows.items()},
            **{f"days_behind_{name}": days for name, days in needs.behind.items()},
        },
    )


def check_outliers(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Few returns lie far off their day, and few of those are undone the next day, as misprints are."""
    facts = gather(store, settings)
    returns, found, undone = (int(facts.daily[name].sum()) for name in ("returns", "outliers", "reversed"))
    share = found / max(returns, 1)
    k = settings.quality.outlier_mads
    return CheckOutcome(
        passed=share <= _OUTLIER_SHARE,
        severity="warn",
        summary=f"{found} of {returns} returns ({share:.3%}) lie {k:g} robust standard deviations or more off their "
        f"day; {undone} of them are undone at the next close. The limit is {_OUTLIER_SHARE:.1%}.",
        metadata={
            "outliers": found,
            "outlier_share": share,
            "reversed": undone,
            "where": [f"{day} {code} {move:+.2f}" for day, code, _, move, _, _ in facts.worst.head(20).iter_rows()],
        },
    )


def check_stale_prices(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Few closes merely repeat, and few names go long without trading."""
    facts = gather(store, settings)
    rows = int(facts.daily["rows"].sum())
    stale, quiet = int(facts.daily["stale"].sum()), int(facts.daily["quiet"].sum())
    share = max(stale, quiet) / max(rows, 1)
    longest = {kind: facts.streaks.filter(pl.col("kind") == kind)["days"].max() or 0 for kind in ("stale", "quiet")}
    return CheckOutcome(
        passed=share <= _STALE_SHARE,
        severity="warn",
        summary=f"{stale} rows repeat a close for {settings.quality.stale_days} days or more, {quiet} are in as long a "
        f"streak without trading ({share:.2%} of {rows}; the limit is {_STALE_SHARE:.0%}).",
        metadata={
            "stale_rows": stale,
            "rows_without_trading": quiet,
            "share": share,
            "longest_stale_days": longest["stale"],
            "longest_days_without_trading": longest["quiet"],
            "where": [f"{code} until {day}: {days} days {kind}" for kind, days, code, day in _longest(facts.streaks)],
        },
    )


def _longest(streaks: pl.DataFrame) -> list[tuple[Any, ...]]:
    return streaks.sort("days", "Code", descending=[True, False]).head(_MOST_NAMED).rows()


def check_splits(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No price steps to a simple fraction of itself without an adjustment factor."""
    return _suspected(store, settings, ("unadjusted_split",))


def check_adjustments(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No adjustment factor stands on a day on which the price did not move with it."""
    return _suspected(store, settings, ("factor_without_jump", "factor_against_jump"))


def check_reuse(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No code comes back after a long absence as something else, or holds two series."""
    return _suspected(store, settings, ("ticker_reuse", "level_break_after_gap", "two_series"))


def check_units(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No price is off by a factor for a few days."""
    return _suspected(store, settings, ("unit_error", "price_flip"))


def _suspected(store: Store, settings: "Settings", kinds: tuple[str, ...]) -> CheckOutcome:
    found = gather(store, settings).anomalies.filter(pl.col("kind").is_in(list(kinds)))
    counts = {kind: found.filter(pl.col("kind") == kind).height for kind in kinds}
    what = ", ".join(f"{KINDS[kind][0].lower()}{KINDS[kind][1:]}: {count}" for kind, count in counts.items())
    shown = found.head(_MOST_NAMED)
    named = [f"{day} {code} x{ratio:.4g}" for day, code, ratio in shown.select("Date", "Code", "ratio").iter_rows()]
    return CheckOutcome(
        passed=found.is_empty(),
        severity="warn",
        summary=f"Suspected {what}{'. The data-health page shows them' if named else ''}.",
        metadata={**counts, "codes": found["Code"].n_unique(), "where": named},
    )


def _where(rows: pl.DataFrame) -> list[str]:
    return [f"{day} {code}" for day, code in rows.select("Date", "Code").head(_MOST_NAMED).iter_rows()]


CHECKS: tuple[Check, ...] = (
    Check("in_step_with_days", "Made from every day of daily_quotes as it is now.", check_in_step),
    Check("no_missing_trading_day", "No trading day of the calendar is missing.", check_no_missing_day, blocking=False),
    Check("continuity_at_splits", "Adjusted prices run on across splits.", check_continuity_at_splits),
    Check("quarantined_share", "Few rows have a defect.", check_quarantined_share),
    Check("coverage", "No day has far fewer names than before.", check_coverage, blocking=False),
    Check("panel_null_shares", "No column of the panel is null too often.", check_null_shares, blocking=False),
    Check("tables_needed", "What the features read is there and up to date.", check_tables_needed, blocking=False),
    Check("outliers", "Few returns lie far off their day.", check_outliers, blocking=False),
    Check("stale_prices", "Few closes repeat, few names do not trade.", check_stale_prices, blocking=False),
    Check("suspected_splits", "No split looks unadjusted.", check_splits, blocking=False),
    Check("suspected_adjustments", "No adjustment factor looks wrong.", check_adjustments, blocking=False),
    Check("suspected_reuse", "No code looks used again.", check_reuse, blocking=False),
    Check("suspected_units", "No price looks off by a factor.", check_units, blocking=False),
)
