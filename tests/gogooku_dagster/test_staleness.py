"""Our judge and Dagster's stale status give the same answer wherever Dagster has one."""

import dagster as dg
import pytest
from dagster._core.definitions.data_version import extract_data_version_from_entry

from model.lineage.graph import BY_NAME, STAGES
from model.lineage.staleness import Verdict
from tests.gogooku_dagster.support import FOLDS, MENDED, Place, data_version, stale_status

BELOW_THE_DAYS = tuple(stage for stage in STAGES if stage.partitions != "day")


def disagreements(place: Place) -> list[tuple[Verdict, str]]:
    """Artefacts on which the two judges differ, without the edge that Dagster does not evaluate."""
    graph = place.lineage()
    ask = stale_status(place.instance, place.definitions)
    verdicts = [graph.judge(stage.name, each) for stage in BELOW_THE_DAYS for each in graph.partitions(stage.name)]
    days = [graph.judge("daily_quotes", day) for day in graph.partitions("daily_quotes")[-3:]]
    answers = [(verdict, ask(verdict.asset, verdict.partition)[0].lower()) for verdict in [*days, *verdicts]]
    return [(verdict, answer) for verdict, answer in answers if verdict.state != answer]


def test_everything_is_fresh_for_both_judges_after_a_build(unchanged: Place) -> None:
    assert disagreements(unchanged) == []
    assert all(verdict.state == "fresh" for verdict in unchanged.lineage().verdicts())


def test_a_changed_setting_makes_the_same_artefacts_stale_for_both_judges_and_for_the_same_reason(place: Place) -> None:
    place.configure(graph={"window_days": 25, "min_joint": 15, "rebalance_days": 10, "threshold": 0.31})
    place.reload()
    graph = place.lineage()
    stale = [verdict for verdict in graph.verdicts() if verdict.state != "fresh"]
    assert [(verdict.asset, verdict.partition) for verdict in stale] == [("correlation_graph", fold) for fold in FOLDS]
    assert disagreements(place) == []
    ask = stale_status(place.instance, place.definitions)
    for verdict in stale:
        assert [reason.split(" from ")[0] for reason in verdict.reasons] == ["settings changed"]
        assert ask(verdict.asset, verdict.partition) == ("STALE", [("CODE", "has a new code version", "")])


def test_a_changed_code_version_is_noticed_by_both_judges(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = type(BY_NAME["baseline"]).code_version
    monkeypatch.setattr(
        "model.lineage.graph.Stage.code_version",
        lambda stage: "f" * 64 if stage.name in ("baseline", "daily_quotes") else original(stage),
    )
    graph = place.lineage()
    stale = {verdict.asset for verdict in graph.verdicts() if verdict.state == "stale"}
    assert stale == {"baseline", "daily_quotes"}
    assert graph.judge("baseline", FOLDS[0]).reasons[0].startswith("code changed")
    assert disagreements(place) == []


def test_after_a_mended_day_both_judges_name_the_input_that_changed(place: Place) -> None:
    before = data_version(place.materialisation("raw_dataset"))
    place.mend(MENDED)
    assert place.bring_up_to_date("raw_dataset") == [("daily_quotes", MENDED), ("raw_dataset", None)]
    assert data_version(place.materialisation("raw_dataset")) != before

    graph = place.lineage()
    assert [verdict.asset for verdict in graph.verdicts() if verdict.state != "fresh"] == ["quality_features"]
    assert disagreements(place) == []
    assert graph.judge("quality_features", None).reasons[0].startswith("raw_dataset changed")
    status, causes = stale_status(place.instance, place.definitions)("quality_features", None)
    assert (status, causes) == ("STALE", [("DATA", "has a new dependency data version", "raw_dataset")])


def test_a_mended_day_makes_raw_dataset_stale_for_us_although_dagster_cannot_see_it(place: Place) -> None:
    place.mend(MENDED)
    place.bring_up_to_date("daily_quotes")
    verdict = place.lineage().judge("raw_dataset", None)
    assert verdict.state == "stale"
    assert [reason.split(" changed")[0] for reason in verdict.reasons] == [f"daily_quotes/{MENDED}"]
    assert stale_status(place.instance, place.definitions)("raw_dataset", None)[0] == "FRESH"


def test_the_data_version_of_every_materialisation_is_the_content_hash_of_its_manifest(unchanged: Place) -> None:
    store = unchanged.installation.store
    for stage in STAGES:
        events: dict[str | None, str] = {}
        cursor, more = None, True
        while more:
            page = unchanged.instance.fetch_materializations(dg.AssetKey(stage.name), limit=500, cursor=cursor)
            for record in page.records:
                version = extract_data_version_from_entry(record.event_log_entry)
                events.setdefault(record.partition_key, version.value if version else "")
            cursor, more = page.cursor, page.has_more
        partitions = unchanged.lineage().partitions(stage.name)
        assert events == {each: store.manifest(stage.name, each).content_hash for each in partitions}  # type: ignore[union-attr]


@pytest.mark.parametrize("asset", ["raw_dataset", "walk_forward_folds", "trained_model"])
def test_materialising_again_from_unchanged_inputs_gives_the_same_data_version(place: Place, asset: str) -> None:
    partition = FOLDS[1] if BY_NAME[asset].partitions == "fold" else None
    before = place.materialisation(asset, partition)
    assert place.materialise(asset, partition).success
    after = place.materialisation(asset, partition)
    assert after.metadata["seconds"] != before.metadata["seconds"], "nothing was computed"
    assert data_version(after) == data_version(before)
