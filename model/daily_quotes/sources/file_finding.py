"""Which files a path of the files source means, and which columns their folders give."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from model.daily_quotes.settings import FilesSource
from model.errors import SourceError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".tsv", ".txt")
_GLOB = "*?["
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class FoundFile:
    """A file, and the columns that its folders name: ``Code=NA/bars.csv`` gives every row the code ``NA``."""

    path: Path
    partitions: dict[str, str | None] = field(default_factory=dict)
    key: str = "source.path"
    """The setting that led to it."""


def find_files(settings: FilesSource) -> list[FoundFile]:
    """The files of the bars, in order of their paths.

    Raises:
        SourceError: no path is set, nothing is there, or a file is of another kind.
    """
    if not settings.path:
        raise SourceError(
            "The files source has no path. Set source.path to a Parquet or CSV file, a folder of them, or a glob "
            "pattern, for example `--set source.path=bars.parquet`."
        )
    return _found(Path(settings.path).expanduser(), "source.path")


def find_tables(settings: FilesSource) -> dict[str, list[FoundFile]]:
    """The files of each table beside the bars; relative paths start where ``source.path`` lies.

    Raises:
        SourceError: nothing is there, or a file is of another kind.
    """
    beside = Path(settings.path).expanduser().parent
    return {
        name: _found(beside / Path(settings.tables[name]).expanduser(), f"source.tables.{name}")
        for name in sorted(settings.tables)
    }


def kind_of(path: Path) -> str | None:
    """``parquet`` or ``csv`` by the file's ending."""
    name = path.name.lower()
    if name.endswith(PARQUET):
        return "parquet"
    return "csv" if name.endswith(CSV) else None


def _found(path: Path, key: str) -> list[FoundFile]:
    if path.is_dir():
        inside = sorted(entry for entry in path.rglob("*") if entry.is_file() and kind_of(entry))
        found = [entry for entry in inside if not _hidden(entry.relative_to(path))]
        if not found:
            raise SourceError(
                f"The folder {path} of {key} holds no Parquet or CSV file. Files are recognised by their endings "
                f"{', '.join(PARQUET + CSV)}."
            )
        return [FoundFile(entry, _partitions(entry.relative_to(path)), key) for entry in found]
    if path.is_file():
        found = [path]
    elif any(sign in str(path) for sign in _GLOB):
        found = sorted(entry for entry in Path(path.anchor or ".").glob(_relative(path)) if entry.is_file())
    else:
        found = []
    if not found:
        raise SourceError(
            f"The file {path} of {key} does not exist (looked from {Path.cwd()}). Correct {key}, or put the file there."
        )
    strange = [entry for entry in found if kind_of(entry) is None]
    if strange:
        raise SourceError(
            f"{strange[0]} is neither Parquet nor CSV by its ending ({len(strange)} of {len(found)} files of {key}). "
            f"Endings that are read: {', '.join(PARQUET + CSV)}."
        )
    fixed = _fixed_part(path)
    return [FoundFile(entry, _partitions(entry.relative_to(fixed)), key) for entry in found]


def _hidden(inside: Path) -> bool:
    """Files and folders that tools leave behind: ``.crc``, ``_temporary``."""
    return any(part.startswith((".", "_")) for part in inside.parts)


def _partitions(inside: Path) -> dict[str, str | None]:
    pairs = (part.partition("=") for part in inside.parts[:-1] if "=" in part)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, _, value in pairs}


def _fixed_part(path: Path) -> Path:
    """The folder above the first part of a path that is a pattern."""
    parts = list(path.parts)
    first = next((place for place, part in enumerate(parts) if any(sign in part for sign in _GLOB)), len(parts) - 1)
    return Path(*parts[:first])


def _relative(path: Path) -> str:
    return str(path.relative_to(path.anchor)) if path.anchor else str(path)
