"""Which columns of which upstream table each column of the feature table is computed from."""

from model.quality_features.language.columns import COLUMNS, MEMBER, SECTOR
from model.quality_features.selection import describe, validity_names
from model.quality_features.settings import FeatureSettings

UPSTREAM = "raw_dataset"

Source = tuple[str, str, str]
"""Asset, table and column."""

_TABLES = {spec.source: spec.table for spec in COLUMNS.values()} | {MEMBER: "panel", SECTOR: "panel"}


def column_lineage(settings: FeatureSettings) -> dict[str, list[Source]]:
    """Column of the feature table to (asset, table, column) of everything it is computed from, directly or not."""
    lineage = {name: [_panel(name)] for name in ("Date", "Code", MEMBER)}
    for entry in describe(settings):
        lineage[entry["name"]] = [(UPSTREAM, _TABLES[name], name) for name in entry["inputs"]]
    return lineage | {name: [_panel("AdjClose")] for name in validity_names()}


def _panel(column: str) -> Source:
    return UPSTREAM, "panel", column
