"""Which files a path of the files source means, and which columns their folders give."""

import fnmatch
from collections.abc import Iterator, Sequence
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
        SourceError: no path is set, nothing is there, a file is of another kind, or something cannot be looked at.
    """
    if not settings.path:
        raise SourceError(
            "The files source has no path. Set source.path to a Parquet or CSV file, a folder of them, or a glob "
            "pattern, for example `--set source.path=bars.parquet`."
        )
    return _found(_at_home(settings.path, "source.path"), "source.path")


def find_tables(settings: FilesSource) -> dict[str, list[FoundFile]]:
    """The files of each table beside the bars; relative paths start where ``source.path`` lies.

    Raises:
        SourceError: nothing is there, a file is of another kind, or something cannot be looked at.
    """
    beside = _at_home(settings.path, "source.path").parent
    keys = {name: f"source.tables.{name}" for name in sorted(settings.tables)}
    return {name: _found(beside / _at_home(settings.tables[name], key), key) for name, key in keys.items()}


def kind_of(path: Path) -> str | None:
    """``parquet`` or ``csv`` by the file's ending."""
    name = path.name.lower()
    if name.endswith(PARQUET):
        return "parquet"
    return "csv" if name.endswith(CSV) else None


def _at_home(path: str, key: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # of a user whom the system does not know
        raise SourceError(
            f"The home folder of {key}={path} is not known. Write the path out, or correct the name after the ~."
        ) from error


def _found(path: Path, key: str) -> list[FoundFile]:
    try:
        found = _in_folder(path, key) if path.is_dir() else _named(path, key)
        found = _each_once(found)
    except OSError as error:
        raise SourceError(
            f"{error.filename or path} of {key} cannot be looked at: {error.strerror}. Give your user the right to "
            f"read it, or set {key} to what can be read."
        ) from error
    _refuse_unreadable(found, key)
    return found


def _in_folder(path: Path, key: str) -> list[FoundFile]:
    """All files below a folder that are recognised by their endings, but for what tools leave behind."""
    entries = list(_below(path, hidden=False))
    _refuse_dangling(entries, key)
    found = sorted(entry for entry in entries if kind_of(entry) and entry.is_file())
    if not found:
        raise SourceError(
            f"The folder {path} of {key} holds no Parquet or CSV file. Files are recognised by their endings "
            f"{', '.join(PARQUET + CSV)}."
        )
    return [FoundFile(entry, _partitions(entry.relative_to(path)), key) for entry in found]


def _named(path: Path, key: str) -> list[FoundFile]:
    """A file, or all that a pattern means."""
    fixed = _fixed_part(path)
    matches = sorted(set(_matches(fixed, path.parts[len(fixed.parts) :])))
    _refuse_dangling(matches, key)
    found = [entry for entry in matches if entry.is_file()]
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
    return [FoundFile(entry, _partitions(entry.relative_to(fixed)), key) for entry in found]


def _below(folder: Path, above: tuple[Path, ...] = (), *, hidden: bool = True) -> Iterator[Path]:
    """Everything below a folder, also through links; one that leads back to a folder above it is not followed."""
    above = (*above, folder.resolve())
    for entry in folder.iterdir():
        if not hidden and entry.name.startswith((".", "_")):  # .crc, _temporary
            continue
        yield entry
        if entry.is_dir() and entry.resolve() not in above:
            yield from _below(entry, above, hidden=hidden)


def _matches(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What the parts of a pattern mean below a folder, dangling links among it.

    ``Path.glob`` passes over what it may not look at, and over linked folders.
    """
    if not parts or _dangling(folder):
        yield folder
        return
    part, *rest = parts
    literal = folder / part
    if literal.exists() or literal.is_symlink():
        yield from _matches(literal, rest)
    elif part == "**":
        for inside in (folder, *_below(folder)):
            if inside.is_dir() or _dangling(inside):
                yield from _matches(inside, rest)
    elif _is_pattern(part) and folder.is_dir():
        for entry in folder.iterdir():
            if fnmatch.fnmatch(entry.name, part):
                yield from _matches(entry, rest)


def _is_pattern(part: str) -> bool:
    return any(sign in part for sign in _GLOB)


def _each_once(found: list[FoundFile]) -> list[FoundFile]:
    """Files that links lead to twice are read once, unless their folders say different things of them."""
    once: dict[object, FoundFile] = {}
    for file in found:
        status = file.path.stat()
        once.setdefault((status.st_dev, status.st_ino, tuple(file.partitions.items())), file)
    return list(once.values())


def _dangling(entry: Path) -> bool:
    return entry.is_symlink() and not entry.exists()


def _refuse_dangling(entries: Sequence[Path], key: str) -> None:
    dangling = sorted(entry for entry in entries if _dangling(entry))
    if dangling:
        raise SourceError(
            f"{dangling[0]} of {key} is a link to {dangling[0].readlink()}, which is not there ({len(dangling)} of "
            f"{len(entries)} entries). Put back what it leads to, or remove the link."
        )


def _refuse_unreadable(found: Sequence[FoundFile], key: str) -> None:
    failures: list[tuple[Path, OSError]] = []
    for file in found:
        try:
            file.path.open("rb").close()
        except OSError as error:
            failures.append((file.path, error))
    if failures:
        path, first = failures[0]
        raise SourceError(
            f"{path} cannot be opened: {first.strerror} ({len(failures)} of {len(found)} files of {key}). Give your "
            f"user the right to read it, or leave it out of {key}."
        ) from first


def _partitions(inside: Path) -> dict[str, str | None]:
    pairs = (part.partition("=") for part in inside.parts[:-1] if "=" in part)
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, _, value in pairs}


def _fixed_part(path: Path) -> Path:
    """The folder above the first part of a path that is a pattern; one that names what is there is none."""
    fixed = Path(path.anchor)
    for part in path.parts[len(fixed.parts) : -1]:
        if _is_pattern(part) and not (fixed / part).exists():
            break
        fixed /= part
    return fixed
