"""What a page is: a self-contained HTML view of an asset for the person who wants more than a picture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store


@dataclass(frozen=True)
class Page:
    """A named page of one asset; ``build`` takes the store and the settings, and returns UTF-8 bytes.

    Like pictures, pages are drawn from the published artefact after the fact: they enter no hash and no code version.
    """

    name: str
    title: str
    build: "Callable[[Store, Settings], bytes]"


def page_path(home: Path, asset: str, name: str) -> Path:
    """Where an asset's page lies."""
    return home / "pages" / asset / name
