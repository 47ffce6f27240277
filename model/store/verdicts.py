"""What the checks said of an artefact, kept beside the store so that nothing reads what a blocking check refused.

The record names the content hash it speaks of: once the artefact is computed anew, an old refusal no longer counts.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from model.store import atomic
from model.store.checks import CheckOutcome
from model.store.manifest import Manifest
from model.store.store import WHOLE, Store

Blocks = Callable[[str, str, bool], bool]
"""From an asset, a check's name and whether it blocked when it failed to whether it blocks."""


def as_recorded(asset: str, name: str, blocked: bool) -> bool:
    """A failure blocks if it did when it happened."""
    return blocked


UNCHECKED = "its checks have not been run"


@contextmanager
def expecting(store: Store, asset: str, partition: str | None) -> Iterator[None]:
    """While an artefact is computed: its checks must follow, and until they have run nothing may read it.

    A stage that fails leaves the earlier artefact and what was said of it; one that is killed leaves the expectation.
    """
    path = _path(store, asset, partition)
    before = path.read_bytes() if path.is_file() else None
    atomic.write_bytes(path, b'{"expected": true}\n')
    try:
        yield
    except BaseException:
        if before is None:
            path.unlink()
        else:
            atomic.write_bytes(path, before)
        raise


def record(store: Store, manifest: Manifest, outcomes: Mapping[str, CheckOutcome], blocking: Collection[str]) -> None:
    """Keep the outcomes; an artefact that passed everything leaves no record."""
    path = _path(store, manifest.asset, manifest.partition)
    failed = {name: outcome for name, outcome in outcomes.items() if not outcome.passed}
    if not failed:
        path.unlink(missing_ok=True)
        return
    document = {
        "content_hash": manifest.content_hash,
        "failed": {
            name: {**asdict(outcome), "blocking": name in blocking and outcome.severity == "error"}
            for name, outcome in failed.items()
        },
    }
    atomic.write_bytes(path, (json.dumps(document, indent=1, default=str) + "\n").encode())


def refusals(store: Store, manifest: Manifest, blocks: Blocks = as_recorded) -> tuple[str, ...]:
    """The blocking checks that refused this very content, each with what it said.

    A record that cannot be read says nothing of the artefact, which then counts as one whose checks have not been run:
    it is stale, and computing it again writes the record anew.

    Args:
        blocks: whether a failure blocks under the settings of now; as it was when it happened by default.
    """
    try:
        document = json.loads(_path(store, manifest.asset, manifest.partition).read_text(encoding="utf-8"))
        if "expected" in document:
            return (UNCHECKED,)
        if document["content_hash"] != manifest.content_hash:
            return ()
        failures = [(name, failed["blocking"], failed["summary"]) for name, failed in document["failed"].items()]
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, AttributeError):
        return (UNCHECKED,)
    return tuple(f"check {name}: {said}" for name, blocking, said in failures if blocks(manifest.asset, name, blocking))


def _path(store: Store, asset: str, partition: str | None) -> Path:
    return store.home / "checks" / asset / f"{partition or WHOLE}.json"
