"""What a check is: a pure question about one artefact, answered with figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store


@dataclass(frozen=True)
class CheckOutcome:
    """The answer. ``severity`` matters only when the check did not pass."""

    passed: bool
    summary: str
    severity: Literal["error", "warn"] = "error"
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A named check of one asset; ``run`` takes the store, the settings and the partition (or None)."""

    name: str
    description: str
    run: "Callable[[Store, Settings, str | None], CheckOutcome]"
    blocking: bool = True
