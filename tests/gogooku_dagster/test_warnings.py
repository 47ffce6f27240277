"""Our own code calls nothing of Dagster that is deprecated or superseded."""

import warnings

import pytest

from model.lineage.graph import Stage
from model.store.manifest import Manifest
from model.store.stage import StageRun
from tests.gogooku_dagster.support import FOLDS, MENDED, ROOT, Place

OURS = (str(ROOT / "gogooku_dagster"), str(ROOT / "model"))


def test_a_run_of_each_kind_of_step_causes_no_deprecation_warning(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Stage.materialise

    def materialise(stage: Stage, run: StageRun) -> Manifest:
        if run.events is None:
            return original(stage, run)
        run.events.on_epoch({"phase": "baseline", "epoch": 1, "loss": 0.5})
        return run.store.require(stage.name, run.partition)

    monkeypatch.setattr(Stage, "materialise", materialise)
    steps = [
        ("daily_quotes", MENDED),
        ("raw_dataset", None),
        ("walk_forward_folds", FOLDS[0]),
        ("trained_model", FOLDS[0]),
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for asset, partition in steps:
            assert place.materialise(asset, partition).success
    assert [str(each) for each in caught if each.filename.startswith(OURS)] == []
