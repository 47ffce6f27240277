"""Bringing a store up to date without an orchestrator."""

from pathlib import Path

from model.lineage.build import bring_up_to_date
from model.settings import presets
from model.store.store import Store
from tests.pipeline.support import TINY, TODAY


def test_all_that_depends_on_what_is_left_alone_is_left_alone_too(tmp_path: Path) -> None:
    settings = presets.load(TINY)
    built = bring_up_to_date(Store(tmp_path), settings, TODAY, without=frozenset({"daily_quotes"}))
    assert built == []
