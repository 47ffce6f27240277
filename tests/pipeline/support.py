"""What the tests of the whole graph share."""

from collections.abc import Callable
from pathlib import Path

from model.settings import presets
from model.settings.root import Settings

TINY = Path(__file__).parents[1] / "presets" / "tiny.yaml"
Built = tuple[str, str | None]
Build = Callable[[Path, Settings], list[Built]]


def files_settings(path: Path, *overrides: str) -> Settings:
    """The tiny preset on a file of bars."""
    return presets.load(TINY, [f"source={{kind: files, path: {path}}}", "calendar.exchange=from_data", *overrides])
