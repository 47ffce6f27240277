"""The seconds of a run that are in no manifest, as the command line measured them: what a forecast must add.

A manifest counts the work of its stage. Around it a step starts a Dagster run, runs checks, draws figures and writes
pages; and around the steps a run loads libraries, looks what is stale and writes the catalogue. In a small installation
that is more than half of the time.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gogooku_dagster.lib.cost import recomputed
from model.store import atomic
from model.store.manifest import Manifest

NAME = "overheads.json"
DAYS = "daily_quotes"


@dataclass
class Overheads:
    """Seconds beside the stages' own: of each step, and of a run around its steps."""

    steps: dict[str, float] = field(default_factory=dict)
    """By artefact (``baseline/wf_2016h1``); of all days of a run together, by one day."""
    run: float | None = None
    """None where no run has been measured."""

    def of(self, asset: str, partition: str | None) -> float:
        """Seconds beside those of an artefact's manifest; 0 where none were measured."""
        return self.steps.get(_key(asset, partition), 0.0)

    def measured(self, seconds: float, manifests: Sequence[Manifest]) -> None:
        """A step has taken so many seconds in all, and yielded these artefacts."""
        if not manifests:
            return
        key = _key(manifests[0].asset, manifests[0].partition)
        beside = max(0.0, seconds - sum(each.seconds for each in manifests)) / len(manifests)
        mended_in_part = any(recomputed(each) is not None for each in manifests)  # checks and figures of a part only
        self.steps[key] = round(max(beside, self.steps.get(key, 0.0)) if mended_in_part else beside, 4)

    def write(self, home: Path) -> None:
        """Keep them for the next forecast."""
        text = json.dumps({"run": self.run, "steps": self.steps}, indent=0)
        atomic.write_bytes(home / NAME, f"{text}\n".encode())


def read(home: Path) -> Overheads:
    """What was measured in a home; nothing where no run was, or the file is damaged."""
    try:
        document = json.loads((home / NAME).read_text(encoding="utf-8"))
        run, steps = document["run"], {key: float(seconds) for key, seconds in document["steps"].items()}
        return Overheads(steps, None if run is None else float(run))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return Overheads()


def _key(asset: str, partition: str | None) -> str:
    return asset if asset == DAYS or partition is None else f"{asset}/{partition}"
