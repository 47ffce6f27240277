"""The fingerprint of a fold: hashes of the values that it may read, month by month.

A fold's artefact carries these hashes, so its own content hash changes exactly when a value changes in its slice of
features and labels (the dates ``window_start`` … ``window_end``). A fix elsewhere leaves the fold, and all the
expensive work behind it, fresh. A month whose rows all lie in the window takes the hash that its chunk was stored with;
a month at an end that is cut is read, cut and hashed, which gives what a chunk of these rows alone would have. Of the
feature catalogue only names and scopes count, which decide how a feature is normalised; its prose does not.
"""

from datetime import date
from typing import TYPE_CHECKING

from model.quality_features.read import TABLE, band_columns
from model.store.day_digests import DayDigests
from model.store.hashing import json_hash, merkle_root
from model.store.manifest import FileEntry

if TYPE_CHECKING:
    from model.store.store import Store

ASSET = "quality_features"
FEATURES, LABELS = "features", "labels"
BAND = "band:"
"""Before the name of a band's table, for its own months."""


def fingerprint(store: "Store", start: date, end: date) -> dict[str, dict[str, str]]:
    """Hash of each month of each table, cut to ``start`` … ``end`` (both included).

    Returns:
        table -> month such as ``2016-01`` -> hash, for each band of the features, for the features as a whole and for
        the labels; and under ``root`` one hash over features, labels and the catalogue.

    Raises:
        StoreError: the features are not materialised or not as written.
    """
    bands = {band: _months(store, band, start, end) for band in band_columns(store)}
    whole = {
        FEATURES: {month: merkle_root({band: found[month] for band, found in bands.items()}) for month in bands[TABLE]},
        LABELS: _months(store, LABELS, start, end),
    }
    roots = {table: merkle_root(hashes) for table, hashes in whole.items()}
    return {
        **{f"{BAND}{band}": found for band, found in bands.items()},
        **whole,
        "root": {**roots, "catalogue": _catalogue(store)},
    }


def _catalogue(store: "Store") -> str:
    entries = store.read_json(ASSET, "catalogue.json")
    return json_hash([[entry["name"], entry.get("scope")] for entry in entries])


def _months(store: "Store", table: str, start: date, end: date) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for month, entry in store.chunks(ASSET, table).items():
        first, last = _dates(entry)
        if start <= first and last <= end:
            hashes[month] = entry.content_hash
        elif first <= end and last >= start:
            hashes[month] = _cut(store, table, max(first, start), min(last, end))
    return hashes


def _dates(entry: FileEntry) -> tuple[date, date]:
    """First and last date of a chunk's rows."""
    return date.fromisoformat(entry.first_date or ""), date.fromisoformat(entry.last_date or "")


def _cut(store: "Store", table: str, first: date, last: date) -> str:
    """Hash of the rows dated ``first`` to ``last``, which lie in one month."""
    rows = store.read_chunks(ASSET, table, start=first, end=last)
    return DayDigests.of(rows).root(rows.schema)
