"""Writes what a source says as files that the files source reads back: the same days, the same values.

Bars lie in ``bars/``, one file a year, and each table beside them in a file of its own. Superseded versions of a bar
lie among the bars, told apart by ``KnownAt``; without any the column is left out, and follows from the calendar.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import yaml

from model.daily_quotes.schema import CANONICAL, KEY
from model.daily_quotes.settings import FilesSource
from model.daily_quotes.sources.base import DayBatch
from model.errors import SourceError
from model.settings.root import Settings
from model.store import atomic
from model.store.stage import Progress, silent

Format = Literal["parquet", "csv"]
BARS, PRESET, README = "bars", "preset.yaml", "README.txt"
_MARK = "Written by `gogooku simulate`"


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    preset: Path
    files: int
    rows: int


def prepare_folder(folder: Path, *, force: bool) -> None:
    """Make the folder, or empty it of an earlier export.

    Raises:
        SourceError: it cannot be made; or it is not empty, and ``force`` is not set or an export did not write it.
    """
    if folder.exists() and not folder.is_dir():
        raise SourceError(f"{folder} is a file. Name a folder to write the market into.")
    inside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if inside and not force:
        raise SourceError(
            f"The folder {folder} is not empty ({len(inside)} entries, the first {inside[0]!r}). Name another one, or "
            "add --force to replace what an earlier `gogooku simulate` wrote there."
        )
    if inside and not _is_export(folder):
        raise SourceError(
            f"The folder {folder} holds {len(inside)} entries (the first {inside[0]!r}) and no {README} of an earlier "
            "`gogooku simulate`, so --force does not empty it. Name another folder."
        )
    if inside:
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"Cannot make the folder {folder} ({error.strerror}). Name another one with --out."
        ) from error


def export(
    batch: DayBatch, settings: Settings, folder: Path, kind: Format = "parquet", progress: Progress = silent
) -> Written:
    """Write a batch, a preset that runs on it, and a note on both, into an empty folder.

    Args:
        settings: those that the batch follows from; the preset keeps all of them but the source.
    """
    parts = list(_parts(batch))
    rows = 0
    # The note comes first: a folder that a killed export left behind may be emptied with --force.
    atomic.write_bytes(folder / README, _note(batch, settings, kind).encode())
    for done, (name, frame) in enumerate(parts, start=1):
        path = folder / f"{name}.{kind}"
        path.parent.mkdir(exist_ok=True)
        _write(path, frame)
        rows += frame.height
        progress(done, len(parts), path.name)
    preset = folder / PRESET
    atomic.write_bytes(preset, _preset(batch, settings, folder, kind).encode())
    return Written(preset, len(parts) + 2, rows)


def _parts(batch: DayBatch) -> Iterator[tuple[str, pl.DataFrame]]:
    """File names without endings, and what belongs into them."""
    revisions = batch.beside.get("revisions")
    bars = batch.quotes.drop("KnownAt") if revisions is None else batch.quotes
    for year in range(batch.days[0].year, batch.days[-1].year + 1):
        mine = pl.col("Date").dt.year() == year
        frame = bars.filter(mine)
        if revisions is not None:
            older = revisions.filter(mine).select(list(CANONICAL))
            frame = pl.concat([frame, older]).sort(*KEY, "KnownAt")
        if frame.height:
            yield f"{BARS}/{year}", frame
    for name in _tables(batch):
        yield name, batch.beside[name]


def _tables(batch: DayBatch) -> list[str]:
    """The tables that become files of their own."""
    return [name for name in sorted(batch.beside) if name != "revisions"]


def _write(path: Path, frame: pl.DataFrame) -> None:
    if path.suffix == ".csv":
        stamps = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
        as_text = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z") for name in stamps]
        frame.with_columns(as_text).write_csv(path)
    else:
        frame.write_parquet(path, compression="zstd")


def _preset(batch: DayBatch, settings: Settings, folder: Path, kind: Format) -> str:
    source = FilesSource(
        path=str((folder / BARS).absolute()),
        tables={name: f"{name}.{kind}" for name in _tables(batch)},
        end=batch.days[-1],  # else each later day is one that is awaited, asked for every night and reported as late
    )
    document = {**settings.model_dump(mode="json"), "source": source.model_dump(mode="json", exclude_defaults=True)}
    document["source"] = {"kind": "files", **document["source"]}
    return (
        f"# {_MARK}: the settings that the market was simulated with, on its files.\n"
        "# A folder that was moved needs its new place in source.path; without source.end, later days may be added.\n"
        + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=118)
    )


def _note(batch: DayBatch, settings: Settings, kind: Format) -> str:
    source = settings.source.model_dump(mode="json")
    tables = "".join(f"{name}.{kind}: {batch.beside[name].height} rows\n" for name in _tables(batch))
    versions = batch.beside.get("revisions")
    older = "" if versions is None else f" and {versions.height} superseded versions, told apart by KnownAt"
    return (
        f"{_MARK}: a simulated market as files.\n\n"
        f"{len(batch.days)} trading days from {batch.days[0]} to {batch.days[-1]}, "
        f"{batch.quotes['Code'].n_unique()} codes.\n"
        f"{BARS}/<year>.{kind}: {batch.quotes.height} daily bars{older}\n{tables}\n"
        f"Run it: gogooku run --config {PRESET} (give the path of that file; it names this folder by its full path,\n"
        "so correct source.path there after moving it).\n"
        "The same values as the simulated source gives for these settings; the reachable oracle is known to that\n"
        "source alone, so reports on these files have none.\n\n"
        "Settings of the market:\n" + yaml.safe_dump(source, sort_keys=False, allow_unicode=True)
    )


def _is_export(folder: Path) -> bool:
    note = folder / README
    return note.is_file() and note.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
