"""The one function that says what is fresh, stale or missing, and why.

An artefact is fresh if its input hashes, its code version and the hash of its stage's own settings are what they
would be now. Nothing else counts: no times, no run identifiers. Only direct inputs are compared, so a rebuild
that yields the same content stops the ripple (early cut-off). `gogooku status`, the automation and the checks all
ask here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from model.lineage.graph import BY_NAME, STAGES, Stage
from model.raw_dataset.check_policy import refuses
from model.settings.root import Settings
from model.store import documents, verdicts
from model.store.manifest import Identity, Manifest
from model.store.store import Store

State = Literal["fresh", "stale", "missing"]
SOURCE = "source"


@dataclass(frozen=True)
class Verdict:
    """The state of one artefact, and the reasons where it is stale."""

    asset: str
    partition: str | None
    state: State
    reasons: tuple[str, ...] = ()


class UnreadyInputs(Exception):  # noqa: N818 - an answer rather than an error
    """An input is not ready, so that what the artefact would be cannot be said."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass
class Lineage:
    """The graph laid over one store, one configuration and one state of the source.

    Args:
        days: content hash of each trading day's rows as the source has them now.
    """

    store: Store
    settings: Settings
    days: Mapping[date, str]
    _manifests: dict[tuple[str, str | None], Manifest | None] = field(default_factory=dict)

    def partitions(self, asset: str) -> tuple[str | None, ...]:
        """The partitions that an asset should have now."""
        kind = BY_NAME[asset].partitions
        if kind == "day":
            return tuple(day.isoformat() for day in sorted(self.days))
        return self.settings.folds.names() if kind == "fold" else (None,)

    def left_over(self, asset: str) -> tuple[str, ...]:
        """Stored partitions that it should not have now: days that left the source, folds that left the settings."""
        if BY_NAME[asset].partitions == "none":
            return ()
        return tuple(sorted(set(self.store.partitions(asset)).difference(self.partitions(asset))))

    def manifest(self, asset: str, partition: str | None) -> Manifest | None:
        """The manifest of an artefact, read once until it is forgotten."""
        key = (asset, partition)
        if key not in self._manifests:
            self._manifests[key] = self.store.manifest(asset, partition)
        return self._manifests[key]

    def forget(self, asset: str) -> None:
        """Read the manifests of an asset again when they are next asked for."""
        for key in [key for key in self._manifests if key[0] == asset]:
            del self._manifests[key]

    def identity(self, asset: str, partition: str | None) -> Identity:
        """What the artefact would be made from now.

        Raises:
            UnreadyInputs: an input is not materialised.
        """
        stage = BY_NAME[asset]
        inputs: dict[str, str] = {}
        unready: list[str] = []
        for label, content in self._inputs(stage, partition):
            if content is None:
                unready.append(f"{label} is not materialised")
            else:
                inputs[label] = content
        unready += [refusal for label in inputs for refusal in self._refusals(label)]
        if unready:
            raise UnreadyInputs(tuple(unready))
        return Identity(inputs, stage.code_version(), stage.settings_hash(self.settings), self.settings.seed)

    def judge(self, asset: str, partition: str | None) -> Verdict:
        """Fresh, stale or missing, with the reasons."""
        manifest = self.manifest(asset, partition)
        if manifest is None:
            return Verdict(asset, partition, "missing")
        try:
            expected = self.identity(asset, partition)
        except UnreadyInputs as unready:
            return Verdict(asset, partition, "stale", unready.reasons)
        reasons = tuple(differences(manifest, expected))
        if verdicts.UNCHECKED in self.refusals(manifest):
            reasons = (*reasons, verdicts.UNCHECKED)
        return Verdict(asset, partition, "stale" if reasons else "fresh", reasons)

    def verdicts(self) -> Iterator[Verdict]:
        """Every artefact that should exist, in graph order."""
        for stage in STAGES:
            for partition in self.partitions(stage.name):
                yield self.judge(stage.name, partition)

    def _inputs(self, stage: Stage, partition: str | None) -> Iterator[tuple[str, str | None]]:
        if stage.partitions == "day":
            yield SOURCE, self.days.get(date.fromisoformat(partition)) if partition else None
        for upstream in stage.reads(self.settings):
            kind = BY_NAME[upstream].partitions
            if kind == "none":
                yield upstream, self._content(upstream, None)
            elif kind == stage.partitions:
                yield f"{upstream}/{partition}", self._content(upstream, partition)
            else:
                yield from self._inputs_of_all(upstream, kind)
        for name in stage.documents:
            found = documents.content_hash(self.store, name)
            if found is not None:
                yield name, found

    def _inputs_of_all(self, upstream: str, kind: str) -> Iterator[tuple[str, str | None]]:
        """Every partition of an input. A day that was never ingested is left out and noted by a check: one missed
        night must not hold up all others; no day at all is an input that is not there."""
        found = [(f"{upstream}/{each}", self._content(upstream, each)) for each in self.partitions(upstream)]
        if kind == "day":
            found = [(label, content) for label, content in found if content is not None] or [(upstream, None)]
        yield from found

    def refused(self, asset: str, partition: str | None) -> tuple[str, ...]:
        """The checks that refuse an artefact as it is stored; nothing depends on it until they pass."""
        manifest = self.manifest(asset, partition)
        return () if manifest is None else self.refusals(manifest)

    def refusals(self, manifest: Manifest) -> tuple[str, ...]:
        """The checks that refuse an artefact under the settings of now, each with what it said."""
        policy = self.settings.quality.checks
        return verdicts.refusals(
            self.store, manifest, lambda asset, name, blocked: refuses(asset, name, blocked, policy)
        )

    def _refusals(self, label: str) -> tuple[str, ...]:
        asset, _, partition = label.partition("/")
        manifest = self.manifest(asset, partition or None) if asset in BY_NAME else None
        if manifest is None:
            return ()
        return tuple(f"{label} was refused: {text}" for text in self.refusals(manifest))

    def _content(self, asset: str, partition: str | None) -> str | None:
        manifest = self.manifest(asset, partition)
        return None if manifest is None else manifest.content_hash


def differences(manifest: Manifest, expected: Identity) -> Iterator[str]:
    """Why an artefact is not what it would be now; nothing where it is."""
    before, now = manifest.inputs, expected.inputs
    for label in sorted(before.keys() | now.keys()):
        if label not in now:
            yield f"{label} is no longer an input (was {before[label][:12]})"
        elif label not in before:
            yield f"{label} is a new input ({now[label][:12]})"
        elif before[label] != now[label]:
            yield f"{label} changed from {before[label][:12]} to {now[label][:12]}"
    if manifest.code_version != expected.code_version:
        yield f"code changed from {manifest.code_version[:12]} to {expected.code_version[:12]}"
    if manifest.settings_hash != expected.settings_hash:
        yield f"settings changed from {manifest.settings_hash[:12]} to {expected.settings_hash[:12]}"
