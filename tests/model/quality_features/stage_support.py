"""A home with a raw_dataset made of a panel, and the features and labels built from it."""

from pathlib import Path

import polars as pl

from model.daily_quotes.settings import FilesSource
from model.labels.labels import labels
from model.labels.settings import LabelSettings
from model.quality_features.engine import compute_features
from model.quality_features.read import feature_columns, read_features
from model.quality_features.settings import GROUP_NAMES, FeatureSettings
from model.quality_features.stage import materialise
from model.settings.root import Settings
from model.store.hashing import table_hash
from model.store.manifest import Identity, Manifest
from model.store.stage import StageRun
from model.store.store import Store

ASSET = "quality_features"
KEY = ("Date", "Code")
IDENTITY = Identity(inputs={}, code_version="1", settings_hash="s")
FILES = Settings(
    source=FilesSource(),
    features=FeatureSettings(minimum_sector_names=1, months_per_block=8),
    labels=LabelSettings(horizons=(1, 5)),
)
ALL_GROUPS = FILES.model_copy(
    update={"features": FILES.features.model_copy(update={"groups": GROUP_NAMES, "market_index": "TOPIX"})}
)


def write_raw(home: Path, **tables: pl.DataFrame) -> None:
    """Write raw_dataset anew: ``panel``, and ``slow`` and ``market`` where given."""
    with Store(home).writer("raw_dataset", None, IDENTITY) as w:
        for table, frame in tables.items():
            key = KEY if "Code" in frame.columns else ("Date",)
            for (month,), chunk in frame.group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True):
                w.chunk(table, str(month), chunk, key=key, input_hash="-")


def update(home: Path, chosen: Settings = FILES, code: str = "1") -> tuple[Store, Manifest]:
    """Bring the features of a home up to date."""
    store = Store(home)
    identity = Identity(inputs={}, code_version=code, settings_hash="s")
    return store, materialise(StageRun(store=store, settings=chosen, identity=identity))


def build(home: Path, panel: pl.DataFrame, chosen: Settings = FILES, code: str = "1") -> tuple[Store, Manifest]:
    """Write the panel and bring the features up to date with it."""
    write_raw(home, panel=panel)
    return update(home, chosen, code)


def content(manifest: Manifest) -> dict[str, str]:
    """Content hash of every file, those that do not count for the artefact's included."""
    return {name: entry.content_hash for name, entry in manifest.files.items()}


def checksums(manifest: Manifest) -> dict[str, str]:
    """Each file's bytes: the sign of a zero shows in them, and counts that do not enter the artefact's hash."""
    return {name: entry.checksum for name, entry in manifest.files.items()}


def differing_columns(store: Store, chosen: Settings, **raw: pl.DataFrame) -> list[str]:
    """Columns of which any bit is not that of the engine run over the whole panel at once, without any store."""
    panel, slow = raw["panel"], raw.get("slow")
    rows = panel if slow is None else panel.hstack(slow.drop(KEY))
    first, last = panel["Date"][0], panel["Date"][-1]
    expected = compute_features(rows, chosen.features, first, last, market=raw.get("market"))
    stored = read_features(store, columns=expected.columns)
    differing = [
        name for name in expected.columns if table_hash(stored.select(name)) != table_hash(expected.select(name))
    ]
    wanted = labels(panel, chosen.labels, first, last)
    held = store.read_chunks(ASSET, "labels")
    differing += [name for name in wanted.columns if table_hash(held.select(name)) != table_hash(wanted.select(name))]
    return differing + [name for name in feature_columns(store) if name not in expected.columns]
