"""What a failed check refuses follows the settings of now, without computing anything again."""

from pathlib import Path

import polars as pl
import pytest

from model.lineage.staleness import Lineage
from model.settings.root import Settings
from model.store import verdicts
from model.store.checks import CheckOutcome
from model.store.manifest import Identity
from model.store.store import Store

CHECK = "coverage"


@pytest.mark.parametrize("blocked", [True, False])
@pytest.mark.parametrize(("mode", "refused"), [("block", True), ("warn", False), ("off", False), (None, None)])
def test_the_present_policy_decides_over_a_failure_of_the_past(
    tmp_path: Path, blocked: bool, mode: str | None, refused: bool | None
) -> None:
    store = Store(tmp_path)
    with store.writer("raw_dataset", None, Identity({}, "code", "settings")) as w:
        w.table("calendar.parquet", pl.DataFrame({"Date": [1]}), ("Date",))
    outcome = CheckOutcome(False, "too few rows", "error" if blocked else "warn")
    verdicts.record(store, w.manifest, {CHECK: outcome}, {CHECK} if blocked else set())
    settings = Settings.model_validate({"quality": {"checks": {CHECK: mode} if mode else {}}})
    found = Lineage(store, settings, {}).refusals(w.manifest)
    assert bool(found) is (blocked if refused is None else refused)
    assert all("too few rows" in text for text in found)
