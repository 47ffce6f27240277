"""What a stage is handed when it is materialised, whoever runs it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from model.store.manifest import Identity

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store
    from model.store.writer import ArtifactWriter


class Progress(Protocol):
    """Called as often as a stage likes; the caller throttles."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class StageEvents:
    """The wires between a long training and whoever runs it."""

    on_epoch: Callable[[dict[str, float | int | str]], None]
    should_stop: Callable[[], bool]
    checkpoint_dir: Path


@dataclass(frozen=True)
class StageRun:
    """One materialisation: where to read and write, with which settings, of which partition."""

    store: "Store"
    settings: "Settings"
    identity: Identity
    partition: str | None = None
    progress: Progress = field(default=silent)
    events: StageEvents | None = None
    started: float = field(default_factory=time.perf_counter)
    """When the work began: the manifest's seconds count from here."""

    def writer(self, asset: str) -> "ArtifactWriter":
        """The writer of this materialisation's artefact."""
        return self.store.writer(asset, self.partition, self.identity, started=self.started)
