"""Refused artefacts that are judged again, and commands that are interrupted."""

from typing import Any

import dagster as dg
import pytest

from gogooku_dagster.lib.reconcile import RunFailedError
from model.errors import DataError
from model.store.manifest import Manifest
from tests.gogooku_dagster.support import MENDED, Place


def test_what_was_refused_is_judged_again_by_the_next_command(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mend(MENDED)
    with monkeypatch.context() as patched:
        place.refuse(patched, "raw_dataset", "quarantined_share")
        with pytest.raises(RunFailedError, match="raw_dataset was computed and refused: check quarantined_share"):
            place.bring_up_to_date("quality_features")
        place.reload()
        with pytest.raises(RunFailedError, match="raw_dataset is refused: check quarantined_share: refused"):
            place.bring_up_to_date("raw_dataset")
    place.reload()
    assert place.bring_up_to_date("quality_features") == [("quality_features", None)]


def test_a_run_that_fails_is_not_explained_by_what_an_earlier_run_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Manifest:
        raise DataError("the true reason")

    place.mend(MENDED)
    with monkeypatch.context() as patched:
        place.refuse(patched, "raw_dataset", "quarantined_share")
        with pytest.raises(RunFailedError, match="computed and refused"):
            place.bring_up_to_date("raw_dataset")
    place.mend(MENDED, 1.02)
    place.reload()
    monkeypatch.setattr("model.raw_dataset.stage.materialise", fails)
    with pytest.raises(RunFailedError, match=r"raw_dataset failed\. the true reason"):
        place.bring_up_to_date("raw_dataset")


@pytest.mark.parametrize("interrupt", [dg.DagsterExecutionInterruptedError, KeyboardInterrupt])
@pytest.mark.parametrize("asset", ["trained_model", "daily_quotes", "quality_features"])
def test_an_interrupt_ends_the_command_at_the_first_try(
    place: Place, monkeypatch: pytest.MonkeyPatch, asset: str, interrupt: type[BaseException]
) -> None:
    tries: list[str] = []

    def stopped(*_: Any, **__: Any) -> Manifest:
        tries.append(asset)
        raise interrupt()

    monkeypatch.setattr(
        {
            "trained_model": "model.trained_model.stage.materialise",
            "daily_quotes": "model.daily_quotes.stage.ingest",
            "quality_features": "model.quality_features.stage.materialise",
        }[asset],
        stopped,
    )
    if asset == "trained_model":
        place.configure(training={"days_per_epoch": 7})
    else:
        place.mend(MENDED)
    place.reload()
    with pytest.raises(KeyboardInterrupt):
        place.bring_up_to_date()
    assert tries == [asset]
