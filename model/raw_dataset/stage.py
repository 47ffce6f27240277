"""Stage ``raw_dataset``: the days put together into one gated, adjusted panel in month chunks.

Beside the panel lie what is known of each stock from statements, margin trading and short selling (``slow``) and of
the market (``market``), where the source has them, as known at the close of each day. A month that nothing reached is
taken over without being read (:mod:`model.raw_dataset.months`). The outcome is the same as that of building
everything anew.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.schema import KEY
from model.daily_quotes.sources.base import day_slices
from model.errors import DataError
from model.raw_dataset import universe
from model.raw_dataset.days import Days
from model.raw_dataset.gate import QUARANTINE, count_defective, count_reasons, plausible, refuse_bad_data, traded_value
from model.raw_dataset.months import ASSET, CALENDAR_FILE, PANEL, QUARANTINE_FILE, SOURCES, MonthChunks
from model.raw_dataset.settings import UniverseSettings
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun

__all__ = ["ASSET", "CALENDAR_FILE", "PANEL", "QUARANTINE_FILE", "materialise"]

UNIVERSE_FILE = "universe.parquet"
REPORT_FILE = "quality_report.json"

LEFT_OUT = "days_left_out"
"""In the manifest: days that lay in the store and were not used, because the source no longer has them."""
_CHOICES = "universe_windows"


def materialise(run: StageRun) -> Manifest:
    """Bring ``raw_dataset`` up to date with the days of ``daily_quotes`` in the run's identity.

    Raises:
        DataError: there are too few days or names.
        SourceError: too large a share of the rows is wrong.
    """
    everything = day_contents(run.identity.inputs)
    days = Days(run.store, run.settings.calendar, run.settings.quality.as_of, tuple(everything))
    contents = days.known(everything)
    require_days(tuple(contents), run.settings.quality.min_days, run.settings.universe)
    previous = run.store.manifest(ASSET)
    with run.writer(ASSET) as writer:
        members, choices = _universe(run, days, contents, previous)
        known = previous.extra.get(SOURCES, {}) if previous else {}
        chunks = MonthChunks(run, writer, days, contents, members, known)
        collected = chunks.build()
        quarantine = pl.concat([pl.DataFrame(schema=QUARANTINE), *collected.quarantine])
        names = pl.concat(collected.names)
        require_names(names["names"], collected.codes, run.settings.quality.min_names)
        refuse_bad_data(collected.rows, quarantine, run.settings.quality)
        writer.table(QUARANTINE_FILE, quarantine, key=KEY)
        writer.table(UNIVERSE_FILE, members, key=("EffectiveDate", "rank"))
        writer.table(CALENDAR_FILE, names, key=("Date",))
        writer.json(REPORT_FILE, quality_report(collected.rows, names.height, collected.codes, quarantine))
        stored = run.store.partitions(QUOTES_ASSET)
        left_out = [day for day in stored if date.fromisoformat(day) not in everything]
        writer.extra.update({_CHOICES: choices, SOURCES: chunks.sources, LEFT_OUT: left_out})
        writer.extra.update({"months_reused": collected.reused, "months": len(chunks.months)})
    return writer.manifest


def day_contents(inputs: dict[str, str]) -> dict[date, str]:
    """Trading day to content hash, in order, from the labels ``daily_quotes/<day>`` of an identity."""
    prefix = f"{QUOTES_ASSET}/"
    days = {
        date.fromisoformat(label.removeprefix(prefix)): content
        for label, content in inputs.items()
        if label.startswith(prefix)
    }
    return dict(sorted(days.items()))


def require_days(days: Sequence[date], needed: int, settings: UniverseSettings, where: str = "The source") -> None:
    """Refuse data that are shorter than what is looked back at; ``where`` says what holds them.

    Raises:
        DataError: fewer trading days than ``needed``, or than the universe looks back at.
    """
    lookback = settings.lookback_days + 1 if settings.size is not None else 0
    if len(days) >= max(needed, lookback, 1):
        return
    span = f" ({days[0]} to {days[-1]})" if days else ""
    key = "quality.min_days" if needed >= lookback else "universe.lookback_days"
    raise DataError(
        f"{where} has {len(days)} trading {'day' if len(days) == 1 else 'days'}{span}, and at least "
        f"{max(needed, lookback, 1)} are needed ({key}). Give it a longer history, or lower {key}."
    )


def quality_report(rows: int, days: int, codes: int, quarantine: pl.DataFrame) -> dict[str, object]:
    """Counts for people and checks."""
    defective = count_defective(quarantine)
    treatments = dict(quarantine["treatment"].value_counts().iter_rows())
    return {
        "rows": rows,
        "days": days,
        "codes": codes,
        "quarantined_rows": quarantine.height,
        "defective_rows": defective,
        "defective_share": defective / rows if rows else 0.0,
        "reasons": count_reasons(quarantine),
        "treatments": {name: int(treatments.get(name, 0)) for name in ("row_dropped", "field_nulled", "row_kept")},
    }


def _universe(
    run: StageRun, days: Days, contents: dict[date, str], previous: Manifest | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Every choice of the universe, and the hash of what each was made from; unchanged ones are taken over."""
    settings = run.settings.universe
    empty = pl.DataFrame(schema=universe.UNIVERSE)
    if settings.size is None:
        return empty, {}
    dates = tuple(contents)
    rules = [settings.hashed(), None if days.as_of is None else days.as_of.isoformat(), run.identity.code_version]
    known: dict[str, str] = previous.extra.get(_CHOICES, {}) if previous else {}
    old = run.store.read_table(ASSET, UNIVERSE_FILE) if known else empty
    choices: dict[str, str] = {}
    chosen = [empty]
    slim: dict[date, pl.DataFrame] = {}
    for effective in universe.effective_dates(dates, settings):
        window = universe.window(dates, effective, settings)
        label = effective.isoformat()
        choices[label] = json_hash([[[day.isoformat(), contents[day]] for day in window], rules])
        if known.get(label) == choices[label]:
            chosen.append(old.filter(pl.col("EffectiveDate") == effective))
            continue
        new = [day for day in window if day not in slim]
        slim = {day: rows for day, rows in slim.items() if day in set(window)} | _slim(days, new)
        rows = pl.concat([slim[day] for day in window])
        chosen.append(universe.choose(rows, window, effective, settings))
    return pl.concat(chosen), choices


def _slim(days: Days, dates: Sequence[date]) -> dict[date, pl.DataFrame]:
    """What the choice of the universe looks at, by day."""
    rows = days.quotes(dates, ["Date", "Code", "Close", "Volume", "TurnoverValue"])
    believed = pl.when(plausible("Close")).then(pl.col("Close"))
    slim = rows.select("Date", "Code", Close=believed, TurnoverValue=traded_value())
    return {day: slim.slice(first, count) for day, first, count in day_slices(slim["Date"], dates)}
