"""Manifests as Dagster sees them: row counts, column schema, hashes, seconds, memory, plots."""

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from model.lineage.graph import BY_NAME
from model.quality_features.read import ASSET as FEATURES
from model.quality_features.read import is_band
from model.settings.root import Settings
from model.store import atomic
from model.store.checks import CheckOutcome
from model.store.manifest import MAIN_TABLE, Manifest
from model.store.pages import page_path
from model.store.store import Store

MAX_IMAGE_BYTES = 400_000


def of_manifest(store: Store, settings: Settings, manifest: Manifest, *, figures_only: bool = False) -> dict[str, Any]:
    """Flat figures (Dagster plots them over time), the column schema, and the artefact's pictures."""
    folder = store.directory(manifest.asset, manifest.partition)
    metadata: dict[str, Any] = {
        "content_hash": manifest.content_hash,
        "seconds": manifest.seconds,
        "peak_memory_mb": round(manifest.peak_memory_bytes / 2**20, 1),
        "files": len(manifest.files),
        "megabytes": round(sum(entry.bytes for entry in manifest.files.values()) / 2**20, 3),
        "dagster/uri": str(folder),
        "path": dg.MetadataValue.path(str(folder)),
        "code_version_hash": manifest.code_version[:12],
        "settings_hash": manifest.settings_hash[:12],
    }
    if manifest.rows:
        metadata["dagster/partition_row_count" if manifest.partition else "dagster/row_count"] = manifest.rows
    if manifest.first_date and manifest.last_date:
        metadata["first_date"] = manifest.first_date.isoformat()
        metadata["last_date"] = manifest.last_date.isoformat()
    metadata |= {f"extra/{key}": value for key, value in manifest.extra.items() if _plain(value)}
    if figures_only:
        return metadata
    schema = _column_schema(manifest, settings)
    if schema is not None:
        metadata["dagster/column_schema"] = schema
    if manifest.asset == FEATURES:
        metadata["dagster/column_lineage"] = _column_lineage(settings)
    return metadata | _pictures(store, settings, manifest)


def write_pages(store: Store, settings: Settings, asset: str) -> dict[str, dg.MetadataValue[Any]]:
    """Build the pages of an asset and say where each lies."""
    found: dict[str, dg.MetadataValue[Any]] = {}
    for page in BY_NAME[asset].pages():
        path = page_path(store.home, asset, page.name)
        atomic.write_bytes(path, page.build(store, settings))
        found[f"page/{page.name.removesuffix('.html')}"] = dg.MetadataValue.path(str(path))
    return found


def check_result(name: str, outcome: CheckOutcome, asset: str) -> dg.AssetCheckResult:
    """A check's outcome for Dagster."""
    severity = dg.AssetCheckSeverity.WARN if outcome.severity == "warn" else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=outcome.passed,
        severity=severity,
        description=outcome.summary,
        metadata={key: value for key, value in outcome.metadata.items() if value is not None},
    )


def _column_schema(manifest: Manifest, settings: Settings) -> dg.TableSchema | None:
    """The columns of the asset's main table, or of its first one; of features, all bands with formulas."""
    main = MAIN_TABLE.get(manifest.asset, "")
    tables = [(name, entry.columns) for name, entry in sorted(manifest.files.items()) if entry.columns]
    tables.sort(key=lambda table: not table[0].startswith((f"{main}/", f"{main}.")))
    if not tables:
        return None
    columns, said = dict(tables[0][1]), dict[str, str]()
    if manifest.asset == FEATURES:
        for name, found in tables:
            if is_band(name.partition("/")[0]):
                columns = {**columns, **found}
        said = _formulas(settings)
    return dg.TableSchema([dg.TableColumn(name, dtype, said.get(name)) for name, dtype in columns.items()])


def _formulas(settings: Settings) -> dict[str, str]:
    from model.quality_features.selection import select

    return {feature.name: feature.formula for feature in select(settings.features)}


def _column_lineage(settings: Settings) -> dg.TableColumnLineage:
    """The upstream columns that each feature is computed from, directly or through other features."""
    from model.quality_features.column_lineage import column_lineage

    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(asset), column) for asset, _, column in sources]
            for name, sources in column_lineage(settings.features).items()
        }
    )


def _pictures(store: Store, settings: Settings, manifest: Manifest) -> dict[str, dg.MetadataValue[Any]]:
    """Figures of the room, and pictures among the artefact's own files, as Markdown images."""
    found = {
        picture.name: (picture.title, picture.draw(store, settings, manifest.partition))
        for picture in BY_NAME[manifest.asset].pictures()
    }
    for name in manifest.files:
        if name.endswith(".png"):
            stem = name.removesuffix(".png")
            data = store.path(manifest.asset, name, manifest.partition).read_bytes()
            found[stem] = (stem.replace("_", " "), data)
    return {
        f"plot/{name}": dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(data).decode()})")
        for name, (title, data) in found.items()
        if len(data) <= MAX_IMAGE_BYTES
    }


def pictures(metadata: Mapping[str, Any]) -> dict[str, bytes]:
    """The pictures that an event carries, as PNG by name: whoever needs them again need not draw them again."""
    texts = {name.removeprefix("plot/"): str(each.value) for name, each in metadata.items() if name.startswith("plot/")}
    return {name: base64.b64decode(text.partition(";base64,")[2].rstrip(")")) for name, text in texts.items()}


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, bool))
