"""From a Dagster step to the store and back: blocking checks, ranges of days, metadata."""

from typing import Any

import dagster as dg
import pytest

from gogooku_dagster.lib import materialise
from model.lineage.staleness import UnreadyInputs
from model.quality_features.language.columns import COLUMNS
from model.quality_features.read import feature_columns
from model.store import verdicts
from tests.gogooku_dagster.support import FOLDS, MENDED, START, Place, data_version, refusal, values

RANGE = ("2019-06-03", "2019-06-04", "2019-06-05", "2019-06-06", "2019-06-07")


def test_a_failed_blocking_check_is_recorded_and_keeps_later_runs_from_reading_the_artefact(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        place.refuse(patched, "walk_forward_folds", "gap", FOLDS[0])
        assert not place.materialise("walk_forward_folds", FOLDS[0], raise_on_error=False).success
        assert place.materialise("walk_forward_folds", FOLDS[1]).success

    refused = place.materialise("normalization_stats", FOLDS[0], raise_on_error=False)
    said = refusal(refused)
    assert "walk_forward_folds/wf_2018q4 was refused: check gap: refused for a test" in said
    assert "failed" not in [verdict.state for verdict in place.lineage().verdicts()]
    with pytest.raises(UnreadyInputs, match="was refused: check gap"):
        place.lineage().identity("normalization_stats", FOLDS[0])
    assert place.lineage().judge("normalization_stats", FOLDS[1]).state == "fresh"

    assert place.materialise("walk_forward_folds", FOLDS[0]).success
    assert place.materialise("normalization_stats", FOLDS[0]).success


def test_checks_of_one_fold_are_recorded_for_that_fold(unchanged: Place) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("walk_forward_folds"), "gap")
    history = unchanged.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert {record.event.dagster_event.asset_check_evaluation_data.partition for record in history} == set(FOLDS)  # type: ignore[union-attr]


def test_a_range_of_days_is_one_run_with_a_materialisation_and_a_data_version_for_each_day(place: Place) -> None:
    before = place.instance.get_runs_count()
    result = place.materialise("daily_quotes", *RANGE)
    assert place.instance.get_runs_count() == before + 1
    reported = {event.partition: event for event in result.all_events if event.is_step_materialization}
    assert tuple(reported) == RANGE
    versions = {data_version(event.step_materialization_data.materialization) for event in reported.values()}
    assert len(versions) == len(RANGE)


def test_a_run_that_ends_half_way_leaves_no_day_that_counts_as_checked_and_was_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in RANGE:
        place.mend(day)
    place.refuse(monkeypatch, "daily_quotes", "schema", RANGE[1])
    report = materialise._day_event

    def break_off(*details: Any, **options: Any) -> dg.AssetMaterialization:
        if details[2].partition == RANGE[3]:
            raise dg.Failure("killed here", allow_retries=False)
        return report(*details, **options)

    monkeypatch.setattr(materialise, "_day_event", break_off)
    assert not place.materialise("daily_quotes", *RANGE, raise_on_error=False).success
    store = place.installation.store
    said = {day: place.lineage().refusals(store.require("daily_quotes", day)) for day in RANGE}
    assert said == {
        **dict.fromkeys(RANGE, ()),
        RANGE[1]: ("check schema: refused for a test",),
        RANGE[4]: (verdicts.UNCHECKED,),  # published ahead by another thread
    }
    assert place.lineage().judge("daily_quotes", RANGE[4]).state == "stale"
    monkeypatch.undo()
    assert place.materialise("daily_quotes", *RANGE).success
    assert {place.lineage().judge("daily_quotes", day).state for day in RANGE} == {"fresh"}


def test_a_day_is_ingested_as_the_source_is_now_although_nobody_looked_it_up(place: Place) -> None:
    place.mend(MENDED)
    place.materialise("daily_quotes", MENDED)
    assert place.lineage().judge("daily_quotes", MENDED).state == "fresh"


def test_a_day_that_the_source_does_not_have_is_refused_without_a_retry(place: Place) -> None:
    place.configure(source={"kind": "files", "path": str(place.bars), "start": "2018-01-04"})
    place.reload()
    result = place.materialise("daily_quotes", "2019-07-01", raise_on_error=False)
    said = refusal(result)
    assert "The source has no rows on 1 of the 1 days" in said
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_metadata_says_how_much_and_what_is_in_an_artefact(unchanged: Place) -> None:
    metadata = values(unchanged.materialisation("quality_features"))
    assert metadata["dagster/row_count"] > 10_000
    assert metadata["first_date"] == START.isoformat()
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert {"Date", "Code", "ret_1d"} <= set(columns)
    catalogue = unchanged.installation.store.read_json("quality_features", "catalogue.json")
    formulas = {entry["name"]: entry["formula"] for entry in catalogue}
    assert {name: columns[name].description for name in formulas} == formulas
    assert any(key.startswith("plot/") for key in metadata)
    day = values(unchanged.materialisation("daily_quotes", MENDED))
    assert 10 < day["dagster/partition_row_count"] <= 100


def test_every_feature_names_the_columns_of_raw_dataset_that_it_comes_from(unchanged: Place) -> None:
    metadata = values(unchanged.materialisation("quality_features"))
    lineage = metadata["dagster/column_lineage"].deps_by_column
    catalogue = unchanged.installation.store.read_json("quality_features", "catalogue.json")
    panel = {
        name
        for entry in unchanged.installation.store.require("raw_dataset").files.values()
        for name in entry.columns or {}
    }
    panel |= {column.source for column in COLUMNS.values()}  # this source has no tables beside the bars
    columns = feature_columns(unchanged.installation.store)
    assert set(lineage) == set(columns) > {entry["name"] for entry in catalogue}
    for dependencies in lineage.values():
        assert dependencies
        assert {dependency.asset_key.to_user_string() for dependency in dependencies} == {"raw_dataset"}
        assert {dependency.column_name for dependency in dependencies} <= panel
    assert [dependency.column_name for dependency in lineage["ret_1d"]] == ["AdjClose"]
