"""The data-health page: one self-contained HTML file that opens offline.

Layout and words are in ``health_template.html``; here the facts become text. The page shows the stored dataset as it
is: nothing in it enters a hash, and it can be drawn again at any time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from model.pictures import html_style
from model.raw_dataset.anomalies import KINDS
from model.raw_dataset.checks import check_no_missing_day, thin_days
from model.raw_dataset.gate import NULLING, SEPARATOR
from model.raw_dataset.health import plots
from model.raw_dataset.health.facts import Facts, gather
from model.raw_dataset.health.heat import null_lines
from model.raw_dataset.health.needs import unmet_needs
from model.raw_dataset.health.palette import DARK, LIGHT
from model.raw_dataset.health.plan import plan_facts
from model.raw_dataset.health.windows import draw, read_windows
from model.raw_dataset.stage import ASSET, QUARANTINE_FILE, REPORT_FILE, UNIVERSE_FILE
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

TEMPLATE = "health_template.html"
_CARDS, _LISTED, _EXAMPLES, _TABLE = 6, 200, 3, 10
"""Small plots and listed rows of each kind of anomaly, example rows of each reason, rows of the other tables."""


def build(store: Store, settings: "Settings") -> bytes:
    """The page of ``raw_dataset`` as it is now, in UTF-8.

    Raises:
        StoreError: ``raw_dataset`` is not materialised.
        SourceError: the source's own record of what it has is not readable.
    """
    manifest = store.require(ASSET)
    facts = gather(store, settings)
    report = store.read_json(ASSET, REPORT_FILE)
    quarantine = store.read_table(ASSET, QUARANTINE_FILE)
    thin = thin_days(facts.daily)
    chosen = _choices(store)
    gaps = check_no_missing_day(store, settings, None).metadata
    needs = unmet_needs(store, settings)
    page = (
        _environment()
        .get_template(TEMPLATE)
        .render(
            style=Markup(html_style.style_sheet(LIGHT, DARK)),
            verdict=_verdict(report, facts),
            source=settings.source.kind,
            manifest=manifest,
            report=report,
            quality=settings.quality,
            universe=settings.universe,
            first=facts.daily["Date"][0],
            last=facts.daily["Date"][-1],
            tiles=_tiles(report, facts, thin, gaps, settings),
            figures=_figures(facts, quarantine, thin, chosen),
            gaps=gaps,
            thin=thin.select("Date", "priced", "usual").tail(_TABLE).rows(),
            heat=null_lines(facts.nulls),
            reasons=_reasons(quarantine, report),
            worst=facts.worst.head(_TABLE).with_columns(ratio=pl.col("log_return").exp()).rows(named=True),
            kinds=_kinds(store, facts),
            streaks=facts.streaks.sort("days", "Code", descending=[True, False]).head(_TABLE).rows(named=True),
            needs=needs,
            plan=plan_facts(store, settings),
            tables=_tables(facts),
            revisions=int(facts.beside.filter(pl.col("table") == "revisions")["rows"].sum()),
        )
    )
    return page.encode()


def _verdict(report: Mapping[str, Any], facts: Facts) -> str:
    counts = (
        (facts.anomalies.height, "place looks like an error", "places look like an error"),
        (report["defective_rows"], "row has a defect", "rows have a defect"),
    )
    found = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    looks = " and ".join(found) or "nothing looks like an error"
    return f"{report['rows']:,} rows of {report['codes']:,} codes on {report['days']:,} days: {looks}"


def _tiles(
    report: Mapping[str, Any], facts: Facts, thin: pl.DataFrame, gaps: Mapping[str, Any], settings: "Settings"
) -> list[dict[str, str]]:
    newest = facts.daily.row(-1, named=True)
    share, limit = float(report["defective_share"]), settings.quality.max_quarantined_share
    outliers, undone, returns = (int(facts.daily[name].sum()) for name in ("outliers", "reversed", "returns"))
    median = float(np.median(facts.daily["priced"].to_numpy()))
    half = newest["Date"] in thin["Date"].to_list()
    off = gaps["missing_days"] + gaps["days_off_the_calendar"]
    return [
        _tile(
            "Trading days",
            f"{report['days']:,}",
            f"{facts.daily['Date'][0]} to {newest['Date']}",
            *(("worse", f"{off} off the calendar") if off else ("better", "none missing")),
        ),
        _tile(
            "Names on the newest day",
            f"{newest['priced']:,}",
            f"{median:,.0f} on the median day",
            *(("worse", "looks incomplete") if half else ("better", "as usual")),
        ),
        _tile(
            "Rows with a defect",
            f"{share:.2%}",
            f"{report['defective_rows']:,} of {report['rows']:,}",
            *(("better", f"limit {limit:.0%}") if share <= limit else ("worse", f"above {limit:.0%}")),
        ),
        _tile(
            "Suspected errors",
            f"{facts.anomalies.height:,}",
            f"in {facts.anomalies['Code'].n_unique():,} codes",
            *(("open", "to be judged") if facts.anomalies.height else ("better", "none")),
        ),
        _tile(
            "Outlying returns",
            f"{outliers:,}",
            f"{undone:,} undone the next day",
            "plain",
            f"{outliers / max(returns, 1):.3%} of returns",
        ),
        _tile(
            "Longest without trading",
            f"{max([0, *facts.streaks.filter(pl.col('kind') == 'quiet')['days']]):,} d",
            "one code, days in a row",
            "plain",
            f"{int(facts.daily['quiet'].sum()):,} such rows",
        ),
    ]


def _tile(title: str, value: str, below: str, how: str, chip: str) -> dict[str, str]:
    return {"title": title, "value": value, "below": below, "how": how, "chip": chip}


def _figures(
    facts: Facts, quarantine: pl.DataFrame, thin: pl.DataFrame, chosen: pl.DataFrame
) -> dict[str, list[Markup]]:
    """Each figure twice, for a wide page and for a phone."""
    across: dict[str, tuple[plots.Draw, str]] = {
        "names": (lambda size: plots.names(facts, size, thin), "Names per day"),
        "turnover": (lambda size: plots.turnover(facts, size), "Value traded a day"),
        "histogram": (lambda size: plots.histogram(facts, size), "Daily returns, counted on a logarithmic scale"),
    }
    half: dict[str, tuple[plots.Draw, str]] = {}
    if facts.daily["outliers"].sum():
        half["outliers"] = (lambda size: plots.outliers(facts, size), "Outliers a month")
    if facts.daily["stale"].sum() or facts.daily["quiet"].sum():
        half["streaks"] = (lambda size: plots.streaks(facts, size), "Share of rows in a long streak")
    if quarantine.height:
        across["quarantine"] = (lambda size: plots.quarantine(quarantine, facts, size), "Quarantined rows a month")
    if chosen.height:
        across["universe"] = (lambda size: plots.universe(chosen, size), "Traded value of the members")
    if facts.beside.height:
        across["beside"] = (lambda size: plots.beside(facts, size), "Rows of the tables beside the bars a month")
    drawn = {name: _both(*entry, plots.WIDE) for name, entry in across.items()}
    return drawn | {name: _both(*entry, plots.HALF) for name, entry in half.items()}


def _both(figure: plots.Draw, title: str, wide: plots.Size) -> list[Markup]:
    drawn: list[Figure] = [figure(size) for size in (wide, plots.NARROW)]
    return [Markup(html_style.svg(each, title, LIGHT)) for each in drawn]


def _choices(store: Store) -> pl.DataFrame:
    """EffectiveDate, size, threshold and largest traded value of each choice of the universe."""
    members = store.read_table(ASSET, UNIVERSE_FILE)
    traded = pl.col("median_turnover")
    return members.group_by("EffectiveDate", maintain_order=True).agg(
        size=pl.col("Code").count(), threshold=traded.min(), largest=traded.max()
    )


def _reasons(quarantine: pl.DataFrame, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each reason that occurs: how many rows, what was done, and some rows as received, spread over time."""
    found = []
    for reason, count in sorted(report["reasons"].items(), key=lambda item: -item[1]):
        if not count:
            continue
        own = quarantine.filter(pl.col("reason").str.split(SEPARATOR).list.contains(reason))
        shown = min(_EXAMPLES, own.height)
        spread = [own.height * place // shown for place in range(shown)]
        found.append(
            {
                "name": reason.replace("_", " "),
                "rows": count,
                "codes": own["Code"].n_unique(),
                "nulled": count if reason in NULLING else 0,  # whatever a row's other reasons null
                "examples": own[spread].rows(named=True),
            }
        )
    return found


def _kinds(store: Store, facts: Facts) -> list[dict[str, Any]]:
    """Each kind of anomaly that was found: its cards, and its rows."""
    groups = {
        kind: facts.anomalies.filter(pl.col("kind") == kind)
        for kind in KINDS
        if kind in facts.anomalies["kind"].to_list()
    }
    shown = {kind: rows.unique("Code", keep="first", maintain_order=True).head(_CARDS) for kind, rows in groups.items()}
    places = [place for rows in shown.values() for place in rows.select("Date", "Code").iter_rows()]
    windows = iter(read_windows(store, places))
    return [
        {
            "kind": kind,
            "title": KINDS[kind],
            "count": groups[kind].height,
            "cards": [
                {"row": row, "plot": Markup(draw(window, f"{row['Code']} around {row['Date']}"))}
                for row, window in zip(rows.iter_rows(named=True), windows, strict=False)
                if window is not None
            ],
            "rows": groups[kind].head(_LISTED).rows(named=True),
        }
        for kind, rows in shown.items()
    ]


def _tables(facts: Facts) -> list[dict[str, Any]]:
    """Rows, days with rows, first and newest day of each table beside the bars."""
    held = pl.col("rows") > 0
    return (
        facts.beside.group_by("table", maintain_order=True)
        .agg(
            pl.col("rows").sum(),
            days=held.sum(),
            first=pl.col("Date").filter(held).min(),
            newest=pl.col("Date").filter(held).max(),
        )
        .rows(named=True)
    )


def _number(value: float | None, digits: int = 4) -> str:
    """A figure with so many significant digits, thousands apart; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:,.{digits}g}"


def _times(ratio: float, digits: int = 4) -> str:
    """A ratio as a multiple: x3 for three times as much, and a third as divided by 3."""
    return f"×{_number(ratio, digits)}" if ratio >= 1.0 else f"÷{_number(1.0 / ratio, digits)}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _number, "times": _times}
    return environment
