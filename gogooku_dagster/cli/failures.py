"""What a person can mend outside the program (a full disk, a folder that is closed, a damaged database), said as such.

Only what is surely of that kind is said in a paragraph; everything else keeps its traceback, for it is a bug.
"""

import errno
from pathlib import Path

from gogooku_dagster.lib.home import HOME, home

_FULL = "Free some space, {elsewhere} on another disk. What was finished is kept; the same command goes on from there."
_SAID: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("Cannot write to {place}: the disk is full.", _FULL),
    errno.EDQUOT: ("Cannot write to {place}: the quota of the disk is used up.", _FULL),
    errno.EROFS: (
        "Cannot write to {place}: it lies on a read-only file system.",
        "Mount it for writing, {elsewhere} elsewhere.",
    ),
    errno.EACCES: (
        "Cannot write to {place}, or read it: permission denied.",
        "Change its owner or mode, {elsewhere} of your own.",
    ),
    errno.ENOTDIR: (
        "Cannot write to {place}: a file stands where a folder must be.",
        "Move the file, {elsewhere} elsewhere.",
    ),
}
_SAID |= {errno.EPERM: _SAID[errno.EACCES], errno.EEXIST: _SAID[errno.ENOTDIR]}


def explained(error: Exception) -> str | None:
    """The paragraph for a person, or None where the error may be a bug."""
    return _of_files(error) if isinstance(error, OSError) else _of_a_database(error)


def _of_files(error: OSError) -> str | None:
    if error.errno == errno.ENOENT and error.filename and _lies_in_a_home_that_is_not_there(Path(error.filename)):
        return f"Cannot make the folder {home()} ({error.strerror}). Set {HOME} to a folder that can be made."
    said, remedy = _SAID.get(error.errno or 0, ("", ""))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # a write knows its file's number only
    if not said or not (error.filename or full):
        return None
    place = Path(error.filename or home())
    elsewhere = f"or set {HOME} to a folder" if place.is_relative_to(home()) else "or name a folder"
    return f"{said} {remedy}".format(place=place, elsewhere=elsewhere)


def _lies_in_a_home_that_is_not_there(path: Path) -> bool:
    """The first thing that is written makes the home; only where that cannot be is there none."""
    return not home().exists() and (path.is_relative_to(home()) or home().is_relative_to(path))


def _of_a_database(error: Exception) -> str | None:
    from sqlalchemy import exc

    # Of the other kinds a statement is at fault.
    if type(error) not in (exc.OperationalError, exc.DatabaseError) or not isinstance(error, exc.DBAPIError):
        return None
    folder = home() / "dagster"
    return (
        f"Dagster's records in {folder} cannot be used ({error.orig}). Is the disk full, or the folder closed for "
        f"writing? If a file there is damaged, move the folder {folder} away: it holds the history of runs, and "
        "nothing that was computed."
    )
