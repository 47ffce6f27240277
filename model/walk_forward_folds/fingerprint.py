"""The fingerprint of a fold: hashes of the values that it may read, month by month.

A fold's artefact carries these hashes, so its own content hash changes exactly when a value changes in its slice of
features and labels (the dates ``window_start`` … ``window_end``). A fix elsewhere leaves the fold, and all the
expensive work behind it, fresh. A month that lies wholly in the window takes the hash that its chunk was stored
with; the months at the two ends are read, cut and hashed. So one month is in memory at a time. Of the feature catalogue
only names and scopes count, which decide how a feature is normalised; its prose does not.
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from model.quality_features.read import TABLE, band_chunks
from model.store.hashing import json_hash, merkle_root, table_hash

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
    bands = {band: _months(store, band, months, start, end) for band, months in band_chunks(store).items()}
    labels = {month: entry.content_hash for month, entry in store.chunks(ASSET, LABELS).items()}
    whole = {
        FEATURES: {month: merkle_root({band: found[month] for band, found in bands.items()}) for month in bands[TABLE]},
        LABELS: _months(store, LABELS, labels, start, end),
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


def _months(store: "Store", table: str, chunks: Mapping[str, str], start: date, end: date) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for month, content in chunks.items():
        first, last = month_bounds(month)
        if last < start or first > end:
            continue
        if start <= first and last <= end:
            hashes[month] = content
        else:
            low, high = max(start, first), min(end, last)
            hashes[month] = table_hash(store.read_chunks(ASSET, table, start=low, end=high))
    return hashes


def month_bounds(month: str) -> tuple[date, date]:
    """First and last calendar day of a month.

    >>> month_bounds("2016-02")
    (datetime.date(2016, 2, 1), datetime.date(2016, 2, 29))
    """
    year, number = (int(part) for part in month.split("-"))
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])
