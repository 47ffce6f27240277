"""What a picture is: a view of one artefact for the person who looks at it in the UI."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store


@dataclass(frozen=True)
class Picture:
    """A named picture of one asset; ``draw`` takes the store, the settings and the partition (or None).

    It returns PNG bytes. Pictures are drawn from the published artefact after the fact, so that how something looks
    never changes what it is: they enter no hash and no code version.
    """

    name: str
    title: str
    draw: "Callable[[Store, Settings, str | None], bytes]"
