"""What a refresh is said to take counts what its steps take beside the stages, too."""

from pathlib import Path

import polars as pl
import pytest

from gogooku_dagster.lib import overheads
from gogooku_dagster.lib.cost import forecast
from gogooku_dagster.lib.overheads import Overheads
from model.lineage.staleness import Verdict
from model.settings.root import Settings
from model.store.manifest import Identity, Manifest
from model.store.store import Store


def publish(store: Store, asset: str, partition: str | None = None) -> Manifest:
    with store.writer(asset, partition, Identity({}, "code", "settings")) as w:
        w.table("t.parquet", pl.DataFrame({"Date": [1]}), ("Date",))
    return w.manifest


def test_the_seconds_of_a_step_beside_its_stage_are_in_the_forecast(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fold, days = publish(store, "baseline", "wf_a"), [publish(store, "daily_quotes", f"2020-01-0{n}") for n in (6, 7)]
    measured = Overheads(run=3.0)
    measured.measured(fold.seconds + 2.0, [fold])
    measured.measured(sum(day.seconds for day in days) + 1.0, days)
    measured.write(tmp_path)
    beside = overheads.read(tmp_path)
    assert beside == measured
    verdicts = [Verdict("baseline", "wf_a", "stale"), Verdict("daily_quotes", "2020-01-07", "stale")]
    found = forecast(store, Settings(), verdicts, beside)
    least, most = zip(*(span for span in found.seconds if span), strict=True)
    assert least == most == pytest.approx((fold.seconds + 2.0, days[1].seconds + 0.5))
    stages = fold.seconds + sum(day.seconds for day in days)
    assert found.full_rebuild == pytest.approx(stages + 2.0 + 1.0 + 3.0)


def test_what_was_mended_in_part_does_not_lower_what_all_of_it_took(tmp_path: Path) -> None:
    whole = publish(Store(tmp_path), "quality_features")
    part = Manifest(
        **{**vars(whole), "extra": {"recomputed": {"t": {"cells": 1, "chunks": 1}}, "full": {"t": {"cells": 9}}}}
    )
    beside = Overheads()
    beside.measured(whole.seconds + 4.0, [whole])
    beside.measured(part.seconds + 1.0, [part])
    assert beside.of("quality_features", None) == pytest.approx(4.0)
    beside.measured(whole.seconds + 2.0, [whole])
    assert beside.of("quality_features", None) == pytest.approx(2.0)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"run": 1, "steps": {"a": []}}', b"\xff"])
def test_without_a_measurement_nothing_is_added(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / overheads.NAME).write_bytes(content)
    assert overheads.read(tmp_path) == Overheads()
