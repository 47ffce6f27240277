"""The digests of the stored cross-sections, one file a month for all tables of the artefact.

Which day's cross-section of which column differs from an earlier state is read from them, without the values. A column
is called by its table and its name, ``features_long/beta_252d``; the manifest lists them in the order of the files.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np

from model.quality_features.read import ASSET
from model.store.day_digests import DayDigests
from model.store.manifest import Manifest
from model.store.store import Store
from model.store.writer import ArtifactWriter

COLUMNS = "digest_columns"
"""In the manifest: the columns of every month's file."""


def digests_file(month: str) -> str:
    """The file of a month: an array, see ``DayDigests.array``."""
    return f"digests/{month}.npy"


def called(table: str, columns: Collection[str]) -> list[str]:
    """What the columns of a table are called among those of all tables."""
    return [f"{table}/{name}" for name in columns if name != "Date"]


def read_digests(store: Store, manifest: Manifest, month: str) -> DayDigests | None:
    """The digests that lie beside an artefact's chunks of a month; None where there are none."""
    file = digests_file(month)
    if file not in manifest.files:
        return None
    array = np.load(store.path(manifest.asset, file, manifest.partition), allow_pickle=False)
    return DayDigests.of_array(array, manifest.extra[COLUMNS])


class StoredDigests:
    """The digests of the present artefact; every table asks for those of the same months."""

    def __init__(self, store: Store) -> None:
        self._manifest = store.manifest(ASSET)
        self._lock = Lock()
        self._read = lru_cache(maxsize=None)(lambda month: self._of_month(store, month))

    def of(self, month: str, table: str, columns: Sequence[str]) -> DayDigests | None:
        """Those of a table's chunk; None where there are none of these columns."""
        with self._lock:
            found = self._read(month)
        taken = None if found is None else found.take(called(table, columns))
        return taken and DayDigests(taken.days, tuple(name for name in columns if name != "Date"), taken.values)

    def write(
        self,
        writer: ArtifactWriter,
        months: Collection[str],
        tables: Mapping[str, Sequence[str]],
        found: Mapping[tuple[str, str], DayDigests],
    ) -> None:
        """Write or take over every month's file.

        Args:
            months: of the panel.
            tables: the artefact's tables and their columns.
            found: the digests of the chunks that were written, by table and month; the others are as they were.
        """
        names = list(chain.from_iterable(called(table, columns) for table, columns in tables.items()))
        same = self._manifest is not None and self._manifest.extra.get(COLUMNS) == names
        writer.extra[COLUMNS] = names
        for month in months:
            if same and not any((table, month) in found for table in tables):
                writer.reuse(digests_file(month))
                continue
            parts = [found.get((table, month)) or self.of(month, table, columns) for table, columns in tables.items()]
            whole = [part for part in parts if part is not None]
            values: Any = np.concatenate([part.values for part in whole], axis=1)
            writer.array(digests_file(month), DayDigests(whole[0].days, tuple(names), values).array(), hashed=False)

    def _of_month(self, store: Store, month: str) -> DayDigests | None:
        return None if self._manifest is None else read_digests(store, self._manifest, month)
