"""What the selected features read, against what the source has.

A feature names its inputs; here they are traced to the table that a source has to deliver for them. What is absent is
said, with the features that it leaves without a value: nothing is silently null.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from model.raw_dataset.health.facts import gather
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

TABLE_OF_PREFIX = {
    "Margin": "margin",
    "DaysSinceMargin": "margin",
    "SectorShort": "short_selling",
    "Foreign": "investor_flow",
    "Individual": "investor_flow",
    "Flow": "investor_flow",
    "Index": "indices",
}
"""Columns of the slow and the market table begin with these; all others of the slow table come from statements."""
MOST_DAYS_BEHIND = {"statements": 20, "investor_flow": 15, "margin": 15, "short_selling": 5, "indices": 2}
"""Trading days that a table's newest rows may lie behind the newest bars: its own rhythm, and a holiday week."""


@dataclass(frozen=True)
class Needs:
    """Rows and age of each table beside the bars, and what features miss.

    ``absent`` maps a table or a column of the bars that the source does not have to the features that need it;
    ``empty`` are tables that are there and have no row; ``stale`` are those whose newest rows are too old, and
    ``behind`` says by how many trading days each table is behind the newest bars.
    """

    rows: dict[str, int]
    behind: dict[str, int]
    absent: dict[str, tuple[str, ...]]
    empty: tuple[str, ...]
    stale: tuple[str, ...]

    def sentence(self) -> str:
        """What is missing, in plain words."""
        parts = [f"{name} is not in this source ({len(features)} features)" for name, features in self.absent.items()]
        parts += [f"{name} has no row" for name in self.empty]
        parts += [f"{name} is {self.behind[name]} trading days behind the bars" for name in self.stale]
        here = ", ".join(self.rows) or "none"
        return f"Tables beside the bars: {here}. {'; '.join(parts) or 'Nothing that the features read is missing'}."


def unmet_needs(store: Store, settings: "Settings") -> Needs:
    """Compare the features of the settings with the stored tables."""
    facts = gather(store, settings)
    newest = facts.daily["Date"]
    held = facts.beside.filter(pl.col("rows") > 0).group_by("table").agg(pl.col("Date").max(), pl.col("rows").sum())
    rows = dict.fromkeys(facts.beside["table"].unique().sort().to_list(), 0)
    rows |= dict(held.sort("table").select("table", "rows").iter_rows())
    behind = {name: int((newest > day).sum()) for name, day in held.sort("table").select("table", "Date").iter_rows()}
    panel = facts.nulls.filter(pl.col("table") == "panel")
    columns = panel.group_by("column", maintain_order=True).agg(filled=(pl.col("rows") - pl.col("nulls")).sum())
    filled = dict(columns.iter_rows())
    needed = _needed(settings, frozenset(filled))
    absent = {need: features for need, features in needed.items() if need not in rows and not filled.get(need)}
    return Needs(
        rows=rows,
        behind=behind,
        absent=absent,
        empty=tuple(name for name, count in rows.items() if not count and name != "revisions"),
        stale=tuple(name for name, days in behind.items() if days > MOST_DAYS_BEHIND.get(name, len(newest))),
    )


def _needed(settings: "Settings", panel: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Each table beside the bars, or column of the bars, to the features that read it."""
    from model.quality_features.selection import describe

    described = {entry["name"]: tuple(entry["inputs"]) for entry in describe(settings.features)}
    found: dict[str, list[str]] = {}
    for feature, inputs in described.items():
        for need in {table_of(name, panel) for name in inputs if name not in described}:
            found.setdefault(need, []).append(feature)
    return {need: tuple(features) for need, features in sorted(found.items())}


def table_of(column: str, panel: frozenset[str]) -> str:
    """The table beside the bars that a column is made from; a column of the panel is its own."""
    if column in panel:
        return column
    return next((table for prefix, table in TABLE_OF_PREFIX.items() if column.startswith(prefix)), "statements")
