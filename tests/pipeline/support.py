"""What the tests of the whole graph share."""

from collections.abc import Callable
from pathlib import Path

from model.settings import presets
from model.settings.root import Settings

TINY = Path(__file__).parents[1] / "presets" / "tiny.yaml"
Built = tuple[str, str | None]
Build = Callable[[Path, Settings], list[Built]]


def files_settings(path: Path, *overrides: str, tables: tuple[str, ...] = ()) -> Settings:
    """The tiny preset on a file of bars, with tables beside it in files of their own names."""
    beside = ", ".join(f"{name}: {name}.parquet" for name in tables)
    source = f"source={{kind: files, path: {path}, tables: {{{beside}}}}}"
    return presets.load(TINY, [source, "calendar.exchange=from_data", "calendar.close=15:00", *overrides])
