"""Checks of ``raw_dataset``."""

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from model.daily_quotes.calendar import trading_days
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.raw_dataset.stage import ASSET, CALENDAR_FILE, PANEL, QUARANTINE_FILE, REPORT_FILE, day_contents
from model.store.checks import Check, CheckOutcome
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_SPLIT_JUMP = 0.6
"""A split-adjusted return beyond this on the day of a split says that the factor is wrong."""
_WRONG_SPLITS_SHARE = 0.05


def check_in_step(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """The panel was made from the days as they are now, all of them."""
    used = {day.isoformat(): content for day, content in day_contents(store.require(ASSET).inputs).items()}
    now = {day: store.require(QUOTES_ASSET, day).content_hash for day in store.partitions(QUOTES_ASSET)}
    changed = sorted(day for day in used.keys() & now.keys() if used[day] != now[day])
    added, gone = sorted(now.keys() - used.keys()), sorted(used.keys() - now.keys())
    return CheckOutcome(
        passed=not (changed or added or gone),
        summary=f"{len(used)} days used; {len(changed)} changed since, {len(added)} are new, {len(gone)} are gone.",
        metadata={"days": len(used), "changed": changed[:20], "new": added[:20], "gone": gone[:20]},
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
            "missing": [day.isoformat() for day in missing[:20]],
            "not_on_calendar": [day.isoformat() for day in closed[:20]],
        },
    )


def check_continuity_at_splits(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Adjusted prices run on across splits: a wrong or inverted factor leaves a jump."""
    panel = store.read_chunks(ASSET, PANEL, columns=["Date", "Code", "AdjClose", "AdjustmentCumulative"])
    before = panel.with_columns(
        previous_close=pl.col("AdjClose").forward_fill().shift(1).over("Code"),
        previous_factor=pl.col("AdjustmentCumulative").shift(1).over("Code"),
    )
    splits = before.filter(
        (pl.col("AdjustmentCumulative") != pl.col("previous_factor"))
        & pl.col("AdjClose").is_not_null()
        & pl.col("previous_close").is_not_null()
    )
    jumps = splits.filter((pl.col("AdjClose") / pl.col("previous_close")).log().abs() > _SPLIT_JUMP)
    shown = [f"{day} {code}" for day, code in jumps.select("Date", "Code").head(20).iter_rows()]
    return CheckOutcome(
        passed=jumps.height <= max(1, round(_WRONG_SPLITS_SHARE * splits.height)),
        summary=f"{splits.height} splits and consolidations; {jumps.height} leave a jump in the adjusted close.",
        metadata={"splits": splits.height, "jumps": jumps.height, "where": shown},
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


CHECKS: tuple[Check, ...] = (
    Check("in_step_with_days", "Made from every day of daily_quotes as it is now.", check_in_step),
    Check("no_missing_trading_day", "No trading day of the calendar is missing.", check_no_missing_day, blocking=False),
    Check("continuity_at_splits", "Adjusted prices run on across splits.", check_continuity_at_splits),
    Check("quarantined_share", "Few rows have a defect.", check_quarantined_share),
)
