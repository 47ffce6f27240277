"""The DuckDB catalogue: one view for every tabular artefact, for people and notebooks.

``SELECT * FROM validation_predictions`` reads the Parquet files where they lie; nothing is copied. A view over a
partitioned asset has the partition beside each row.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.store.manifest import MAIN_TABLE
from model.store.store import Store

NAME = "catalog.duckdb"


def write_catalogue(store: Store) -> Path:
    """Write ``catalog.duckdb`` anew beside the artefacts and put it in the old one's place in one step."""
    import duckdb

    target = store.home / NAME
    temporary = target.with_name(f".{NAME}.{uuid.uuid4().hex}")
    try:
        with duckdb.connect(str(temporary)) as connection:
            for name, select in _views(store):
                connection.execute(f'CREATE VIEW "{name}" AS {select}')
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def is_in_place(store: Store) -> bool:
    """Whether the catalogue is there and reads this store: one of a copied or moved home still reads the old place.

    DuckDB keeps views as text, so that the file need not be opened as a database.
    """
    try:
        return f"('{_quoted(_plain(store.root))}/".encode() in (store.home / NAME).read_bytes()
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class _Table:
    """A table of an asset: where its files lie, whether by partition, and its columns."""

    folder: Path
    pattern: str
    partitioned: bool
    columns: Mapping[str, str]

    @property
    def key(self) -> str:
        """What rows of tables that lie side by side have in common."""
        return ", ".join(f'"{name}"' for name in ("Date", "Code") if name in self.columns)


def _views(store: Store) -> Iterator[tuple[str, str]]:
    """Name and query of each view. Tables ``<main>_<band>`` hold further columns of the main one and join its view."""
    for folder in sorted(path for path in store.root.glob("*") if path.is_dir() and not path.name.startswith(".")):
        asset, tables = folder.name, _tables(store, folder)
        main = MAIN_TABLE.get(asset, "")
        bands = [name for name in tables if main and name.startswith(f"{main}_")]
        for name, table in tables.items():
            if name in bands:
                continue
            query = _select(table)
            if name == main:
                joins = (f"JOIN ({_select(tables[band])}) USING ({tables[band].key})" for band in bands)
                query = f"SELECT * FROM ({query}) {' '.join(joins)}" if bands else query
            yield (asset if name == main else f"{asset}_{name}"), query


def _tables(store: Store, folder: Path) -> dict[str, _Table]:
    """The tables of an asset by name, as its newest partition has them."""
    partitions = store.partitions(folder.name)
    tables: dict[str, _Table] = {}
    for partition in partitions[-1:]:
        manifest = store.manifest(folder.name, None if partition == "all" else partition)
        for file, entry in manifest.files.items() if manifest else ():
            if file.endswith(".parquet"):
                name = file.removesuffix(".parquet").split("/")[0]
                pattern = f"{_plain(folder)}/*/{f'{name}/*.parquet' if '/' in file else file}"
                tables[name] = _Table(folder, pattern, partitions != ["all"], entry.columns or {})
    return tables


def _plain(folder: Path) -> str:
    """A folder's path as a pattern that stands for itself."""
    return re.sub(r"([\[*?])", r"[\1]", str(folder))


def _select(table: _Table) -> str:
    quoted = _quoted(table.pattern)
    if not table.partitioned:
        return f"SELECT * FROM read_parquet('{quoted}', union_by_name = true)"
    folder = _quoted(re.escape(str(table.folder)))
    return (
        f"SELECT regexp_extract(filename, '^{folder}/([^/]+)/', 1) AS \"partition\", * EXCLUDE (filename) "
        f"FROM read_parquet('{quoted}', union_by_name = true, filename = true)"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
