"""The DuckDB catalogue: one view for every tabular artefact, for people and notebooks.

``SELECT * FROM validation_predictions`` reads the Parquet files where they lie; nothing is copied. A view over a
partitioned asset has the partition beside each row.
"""

import os
import re
import uuid
from collections import defaultdict
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
            for view, pattern, partitioned in _views(store):
                connection.execute(f'CREATE VIEW "{view}" AS {_select(pattern, partitioned)}')
        os.replace(temporary, target)  # noqa: PTH105 - the atomic form is meant
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _views(store: Store) -> list[tuple[str, str, bool]]:
    tables: dict[tuple[str, str], tuple[str, bool]] = {}
    for folder in sorted(path for path in store.root.glob("*") if path.is_dir() and not path.name.startswith(".")):
        names: dict[str, str] = defaultdict(str)
        partitions = store.partitions(folder.name)
        for partition in partitions[-1:]:
            manifest = store.manifest(folder.name, None if partition == "all" else partition)
            for file in manifest.files if manifest else {}:
                if file.endswith(".parquet"):
                    table = file.removesuffix(".parquet").split("/")[0]
                    names[table] = f"{table}/*.parquet" if "/" in file else file
        for table, file in names.items():
            tables[folder.name, table] = (str(folder / "*" / file), partitions != ["all"])
    return [
        (asset if MAIN_TABLE.get(asset) == table else f"{asset}_{table}", pattern, partitioned)
        for (asset, table), (pattern, partitioned) in tables.items()
    ]


def _select(pattern: str, partitioned: bool) -> str:
    quoted = pattern.replace("'", "''")
    if not partitioned:
        return f"SELECT * FROM read_parquet('{quoted}', union_by_name = true)"
    folder = re.escape(pattern.split("*", 1)[0]).replace("'", "''")
    return (
        f"SELECT regexp_extract(filename, '^{folder}([^/]+)/', 1) AS \"partition\", * EXCLUDE (filename) "
        f"FROM read_parquet('{quoted}', union_by_name = true, filename = true)"
    )
