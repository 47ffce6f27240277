"""Stage ``raw_dataset``: the days put together into one gated, adjusted panel in month chunks.

A month's chunk follows from the content of its days, the adjustment state that the earlier months hand over and the
universe in force; where none of these changed, the chunk is taken over as it is. The outcome is the same as that of
building everything anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import polars as pl

from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.schema import KEY, QUOTES
from model.errors import DataError
from model.raw_dataset import universe
from model.raw_dataset.adjustment import empty_state, next_state
from model.raw_dataset.gate import QUARANTINE, count_defective, count_reasons, refuse_bad_data, traded_value
from model.raw_dataset.panel import build_month
from model.raw_dataset.settings import UniverseSettings
from model.store.hashing import json_hash, table_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.store.writer import ArtifactWriter

ASSET = "raw_dataset"
PANEL = "panel"
QUARANTINE_FILE = "quarantine.parquet"
UNIVERSE_FILE = "universe.parquet"
CALENDAR_FILE = "calendar.parquet"
REPORT_FILE = "quality_report.json"

_CHOICES = "universe_windows"
_STATE_COLUMNS = ["Date", "Code", "Close", "AdjClose", "AdjustmentCumulative"]


@dataclass
class _Collected:
    """What grows month by month beside the chunks."""

    quarantine: list[pl.DataFrame] = field(default_factory=list)
    names: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    reused: int = 0


def materialise(run: StageRun) -> Manifest:
    """Bring ``raw_dataset`` up to date with the days of ``daily_quotes`` in the run's identity.

    Raises:
        DataError: there are too few days or names.
        SourceError: too large a share of the rows is wrong.
    """
    contents = day_contents(run.identity.inputs)
    require_days(tuple(contents), run.settings.quality.min_days, run.settings.universe)
    previous = run.store.manifest(ASSET)
    with run.writer(ASSET) as writer:
        members, choices = _universe(run, contents, previous)
        collected, codes = _months(run, writer, contents, members)
        quarantine = pl.concat([pl.DataFrame(schema=QUARANTINE), *collected.quarantine])
        names = pl.concat(collected.names)
        require_names(names["names"], codes, run.settings.quality.min_names)
        refuse_bad_data(collected.rows, quarantine, run.settings.quality)
        writer.table(QUARANTINE_FILE, quarantine, key=KEY)
        writer.table(UNIVERSE_FILE, members, key=("EffectiveDate", "rank"))
        writer.table(CALENDAR_FILE, names, key=("Date",))
        writer.json(REPORT_FILE, quality_report(collected.rows, len(contents), codes, quarantine))
        writer.extra.update(
            {_CHOICES: choices, "months_reused": collected.reused, "months": len(days_by_month(contents))}
        )
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


def days_by_month(days: dict[date, str]) -> dict[str, dict[date, str]]:
    """Month such as ``2016-01`` to its days."""
    return {month: {day: days[day] for day in group} for month, group in groupby(days, key=lambda day: f"{day:%Y-%m}")}


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


def _months(
    run: StageRun, writer: ArtifactWriter, contents: dict[date, str], members: pl.DataFrame
) -> tuple[_Collected, int]:
    """Write or take over every month; also the number of codes ever seen."""
    collected = _Collected()
    state = empty_state()
    months = days_by_month(contents)
    old_quarantine: pl.DataFrame | None = None
    for done, (month, days) in enumerate(months.items(), start=1):
        dates = list(days)
        force = universe.in_force(members, dates[0], dates[-1])
        input_hash = _input_hash(run, list(days.items()), state, force)
        file = f"{PANEL}/{month}.parquet"
        entry = writer.previous(file)
        if entry is not None and entry.input_hash == input_hash:
            writer.reuse(file)
            if old_quarantine is None:
                old_quarantine = run.store.read_table(ASSET, QUARANTINE_FILE)
            panel = run.store.read_table(ASSET, file, columns=_STATE_COLUMNS)
            quarantine = old_quarantine.filter(pl.col("Date").is_between(dates[0], dates[-1]))
            state = next_state(state, panel)
            collected.reused += 1
        else:
            built = build_month(read_days(run.store, dates), state, force, run.settings.quality, run.settings.universe)
            writer.chunk(PANEL, month, built.panel, key=KEY, input_hash=input_hash)
            panel, quarantine, state = built.panel, built.quarantine, built.state
        collected.rows += panel.height
        collected.quarantine.append(quarantine)
        collected.names.append(_names(panel))
        run.progress(done, len(months), month)
    return collected, state.height


def _names(panel: pl.DataFrame) -> pl.DataFrame:
    names = panel.group_by("Date", maintain_order=True).agg(names=pl.col("Close").count().cast(pl.Int32))
    return names.sort("Date")


def _input_hash(run: StageRun, days: list[tuple[date, str]], state: pl.DataFrame, members: pl.DataFrame) -> str:
    return json_hash(
        {
            "days": [[day.isoformat(), content] for day, content in days],
            "state": table_hash(state),
            "universe": table_hash(members),
            "settings": run.identity.settings_hash,
            "code": run.identity.code_version,
        }
    )


def read_days(store: Store, days: Sequence[date], columns: list[str] | None = None) -> pl.DataFrame:
    """The canonical rows of these days, sorted by Date and Code."""
    return pl.concat([store.read_table(QUOTES_ASSET, QUOTES, day.isoformat(), columns) for day in days], rechunk=True)


def _universe(
    run: StageRun, contents: dict[date, str], previous: Manifest | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Every choice of the universe, and the hash of what each was made from; unchanged ones are taken over."""
    settings = run.settings.universe
    empty = pl.DataFrame(schema=universe.UNIVERSE)
    if settings.size is None:
        return empty, {}
    days = tuple(contents)
    known: dict[str, str] = previous.extra.get(_CHOICES, {}) if previous else {}
    old = run.store.read_table(ASSET, UNIVERSE_FILE) if known else empty
    choices: dict[str, str] = {}
    chosen = [empty]
    slim: dict[date, pl.DataFrame] = {}
    for effective in universe.effective_dates(days, settings):
        window = universe.window(days, effective, settings)
        made_from = [[day.isoformat(), contents[day]] for day in window]
        label = effective.isoformat()
        choices[label] = json_hash([made_from, run.identity.settings_hash, run.identity.code_version])
        if known.get(label) == choices[label]:
            chosen.append(old.filter(pl.col("EffectiveDate") == effective))
            continue
        slim = {day: slim[day] if day in slim else _slim(run.store, day) for day in window}
        chosen.append(universe.choose(pl.concat(slim.values()), window, effective, settings))
    return pl.concat(chosen), choices


def _slim(store: Store, day: date) -> pl.DataFrame:
    rows = read_days(store, [day], ["Date", "Code", "Close", "Volume", "TurnoverValue"])
    believed = pl.when(pl.col("Close") > 0).then(pl.col("Close"))
    return rows.select("Date", "Code", Close=believed, TurnoverValue=traded_value())
