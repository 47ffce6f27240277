"""Shards that no index names any more."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from model.atft_tensors.panel import INDEX, load_panel
from model.atft_tensors.stage import ASSET, materialise, shard_directory
from model.atft_tensors.unused import nothing_removed

DAY = timedelta(days=1).total_seconds()


def shards(upstream: Any) -> set[str]:
    """Names of the files that lie there."""
    return {path.name for path in shard_directory(upstream.store).iterdir() if path.name != ".lock"}


def named(upstream: Any, fold: str) -> set[str]:
    """Names of the files that a fold's index names."""
    index = upstream.store.read_json(ASSET, INDEX, fold)
    return {value for shard in index["shards"] for value in shard.values() if str(value).endswith(".npy")}


def age(upstream: Any, seconds: float) -> None:
    """Let all files be older than they are."""
    for path in shard_directory(upstream.store).iterdir():
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


@pytest.fixture
def mended(upstream: Any) -> tuple[Any, set[str]]:
    """A fold made two days ago, and today from mended labels; and the names of what it leaves behind."""
    materialise(upstream.run("wf_a"))
    before = named(upstream, "wf_a")
    age(upstream, 2 * DAY)
    upstream.labels = upstream.labels.with_columns(target_1=-upstream.labels["target_1"])
    upstream.write_features()
    materialise(upstream.run("wf_a"))
    return upstream, before - named(upstream, "wf_a")


def test_what_is_left_behind_goes_a_day_after_it_was_last_in_use(mended: tuple[Any, set[str]]) -> None:
    upstream, left = mended
    assert left and left < shards(upstream)
    (shard_directory(upstream.store) / ".killed.npy.0").touch()
    materialise(upstream.run("wf_a"))
    assert left < shards(upstream), "whoever has just read the index before may still open them"
    age(upstream, 1.1 * DAY)
    materialise(upstream.run("wf_a"))
    assert shards(upstream) == named(upstream, "wf_a")
    load_panel(upstream.store.directory(ASSET, "wf_a"))


def test_a_shard_of_another_fold_stays(upstream: Any, make_fold: Any) -> None:
    make_fold("wf_b", 3)
    for fold in ("wf_a", "wf_b"):
        materialise(upstream.run(fold))
    age(upstream, 2 * DAY)
    materialise(upstream.run("wf_a"))
    assert shards(upstream) == named(upstream, "wf_a") | named(upstream, "wf_b")


def test_nothing_goes_while_another_process_writes_or_an_index_is_damaged(
    mended: tuple[Any, set[str]], make_fold: Any
) -> None:
    upstream, left = mended
    make_fold("wf_b", 3)
    materialise(upstream.run("wf_b"))
    age(upstream, 2 * DAY)
    with nothing_removed(shard_directory(upstream.store)):
        materialise(upstream.run("wf_a"))
    assert left < shards(upstream)
    index = Path(upstream.store.directory(ASSET, "wf_b")) / INDEX
    index.write_text(index.read_text(encoding="utf-8") + " ", encoding="utf-8")
    materialise(upstream.run("wf_a"))
    assert left < shards(upstream)
    materialise(upstream.run("wf_b"))
    assert not left & shards(upstream)
