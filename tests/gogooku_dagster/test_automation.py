"""Assets follow their inputs by themselves: on changed content, never on bad data, heavy work at night.

The evaluations are Dagster's own; the clock is handed in, and what is requested is run at once, as the daemon would.
The first tests use the real graph on a mended day. The chain of a whole night and what happens after a failed check
are tried on toy assets under the same conditions, because nothing needs to be trained for that.
"""

import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from gogooku_dagster.lib.home import CONFIG, HOME
from gogooku_dagster.lib.materialise import AUTOMATION
from model.portfolio_report import trials
from tests.gogooku_dagster.support import (
    FOLDS,
    MENDED,
    TINY,
    Place,
    kept_environment,
    requested,
    stale_status,
    values,
)

TOKYO = ZoneInfo("Asia/Tokyo")
AFTERNOON = datetime(2026, 11, 19, 15, 0, tzinfo=TOKYO)
EVENING = datetime(2026, 11, 19, 19, 58, tzinfo=TOKYO)
MINUTE = timedelta(minutes=1)
LIGHT = {"raw_dataset", "quality_features", "walk_forward_folds", "portfolio_report"}
Requests = list[dict[str, set[str | None]]]


class Clock:
    """The daemon's loop over one set of definitions."""

    def __init__(
        self, definitions: dg.Definitions, instance: dg.DagsterInstance, run: Callable[[str, str | None], object]
    ) -> None:
        self._definitions, self._instance, self._run = definitions, instance, run
        self._cursor: Any = None

    def reload(self, place: Place) -> None:
        """Another state of the code location, and the same cursor."""
        self._definitions = place.definitions

    def ticks(self, start: datetime, count: int, runs: bool = True) -> Requests:
        """Evaluate once a minute; what each tick asked for, idle ticks left out."""
        log: Requests = []
        for number in range(count):
            result = dg.evaluate_automation_conditions(
                defs=self._definitions,
                instance=self._instance,
                cursor=self._cursor,
                evaluation_time=start + number * MINUTE,
            )
            self._cursor = result.cursor
            asked = requested(result)
            for asset, partitions in sorted(asked.items()):
                for partition in sorted(partitions, key=str):
                    if runs:
                        self._run(asset, partition)
            log += [asked] if asked else []
        return log


@pytest.fixture
def clock(place: Place) -> Clock:
    """The real graph, everything fresh, after the first evaluation (which never asks for anything)."""
    place.definitions  # noqa: B018 - loads the code location for this home
    clock = Clock(place.definitions, place.instance, partial(place.materialise, cause=AUTOMATION))
    assert clock.ticks(AFTERNOON - 5 * MINUTE, 2) == []
    return clock


def test_a_mended_day_reaches_the_folds_in_the_daytime_and_the_heavy_stages_of_one_fold_at_night(
    place: Place, clock: Clock
) -> None:
    place.mend(MENDED)
    place.materialise("daily_quotes", MENDED)
    daytime = clock.ticks(AFTERNOON, 6)
    assert daytime == [{"raw_dataset": {None}}, {"quality_features": {None}}, {"walk_forward_folds": set(FOLDS)}]
    stale = {(each.asset, each.partition) for each in place.lineage().verdicts() if each.state == "stale"}
    below = {"normalization_stats", "baseline", "correlation_graph", "atft_tensors", "validation_predictions"}
    assert stale == {(asset, FOLDS[-1]) for asset in below} | {("portfolio_report", None)}

    assert clock.ticks(EVENING, 2) == [], "before the night window"
    [night] = clock.ticks(EVENING + 2 * MINUTE, 1, runs=False)
    assert night == {"normalization_stats": {FOLDS[-1]}, "correlation_graph": {FOLDS[-1]}}


def test_a_day_ingested_again_with_equal_content_stops_at_the_next_stage(place: Place, clock: Clock) -> None:
    place.materialise("daily_quotes", MENDED)
    assert clock.ticks(AFTERNOON, 4) == [{"raw_dataset": {None}}]
    assert clock.ticks(EVENING + 2 * MINUTE, 3) == []


def test_what_a_command_computed_under_other_settings_is_taken_over_and_not_computed_again(
    place: Place, clock: Clock
) -> None:
    def written(asset: str, partition: str | None = None) -> int:
        return (place.installation.store.directory(asset, partition) / "manifest.json").stat().st_mtime_ns

    links = {
        name: each for name, each in values(place.materialisation("trained_model", FOLDS[0])).items() if "mlf" in name
    }
    assert len(links) >= 3
    place.configure(quality={"max_daily_return": 0.9})
    place.reload()
    assert ("raw_dataset", None) in place.bring_up_to_date()
    before = written("raw_dataset")
    assert clock.ticks(AFTERNOON - 2 * MINUTE, 2, runs=False) == [], "the code location has not been loaded again"
    clock.reload(place)
    assert clock.ticks(AFTERNOON, 3) == [{"raw_dataset": {None}}], "its code version is new to the conditions"
    assert written("raw_dataset") == before
    assert stale_status(place.instance, place.definitions)("raw_dataset", None)[0] == "FRESH"

    trained = written("trained_model", FOLDS[0])
    assert place.materialise("trained_model", FOLDS[0], cause=AUTOMATION).success
    assert written("trained_model", FOLDS[0]) == trained
    assert values(place.materialisation("trained_model", FOLDS[0])).items() >= links.items()
    assert place.materialise("raw_dataset").success
    assert written("raw_dataset") > before, "a click always computes"


def test_nothing_follows_raw_dataset_while_it_fails_a_blocking_check(
    place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        place.refuse(patched, "raw_dataset", "quarantined_share")
        place.mend(MENDED)
        place.materialise("daily_quotes", MENDED)
        assert not place.materialise("raw_dataset", raise_on_error=False).success
        assert clock.ticks(AFTERNOON, 4, runs=False) == []
    place.materialise("raw_dataset")
    assert clock.ticks(AFTERNOON + 10 * MINUTE, 2, runs=False)[0] == {"quality_features": {None}}


def test_another_configuration_tried_makes_the_report_anew_and_the_same_one_does_not(
    place: Place, clock: Clock
) -> None:
    def look() -> int:
        """The sensor's next evaluation, its events reported as the daemon does."""
        from gogooku_dagster.defs.documents import documents_changed

        nonlocal cursor
        with dg.build_sensor_context(instance=place.instance, cursor=cursor) as context:
            result = documents_changed(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        for event in result.asset_events:
            place.instance.report_runless_asset_event(event)
        return len(result.asset_events)

    cursor: str | None = None
    store = place.installation.store
    assert look() == 0, "the report knows the documents of now"
    assert clock.ticks(AFTERNOON, 2) == []
    trials.record(store, ["tried elsewhere"])
    assert look() == 1
    assert clock.ticks(AFTERNOON + 5 * MINUTE, 2) == [{"portfolio_report": {None}}]
    assert place.lineage().judge("portfolio_report", None).state == "fresh"
    trials.record(store, ["tried elsewhere"])
    assert look() == 0
    assert clock.ticks(AFTERNOON + 10 * MINUTE, 2) == []


class Toys:
    """A chain of the real graph's shape: days, a panel, folds and, at night, two heavy stages; then a report.

    ``content`` holds the data version that each asset would produce now, ``refused`` the artefacts whose blocking
    check fails.
    """

    def __init__(self) -> None:
        from gogooku_dagster.defs.automation.conditions import follow, follow_at_night, follow_days, follow_settled

        self.content: dict[tuple[str, str | None], str] = {}
        self.refused: set[tuple[str, str | None]] = set()
        folds = dg.StaticPartitionsDefinition(["old", "new"])
        days = dg.StaticPartitionsDefinition(["monday", "tuesday"])
        self.assets = [
            self._asset("days", [], days, None),
            self._asset("panel", ["days"], None, follow_days()),
            self._asset("folds", ["panel"], folds, follow()),
            self._asset("stats", ["folds"], folds, follow_at_night()),
            self._asset("network", ["folds", "stats"], folds, follow_at_night()),
            self._asset("report", ["folds", "network"], None, follow_settled()),
        ]
        self.definitions = dg.Definitions(assets=self.assets)

    def _asset(
        self,
        name: str,
        deps: list[str],
        partitions: dg.PartitionsDefinition[str] | None,
        condition: dg.AutomationCondition[dg.AssetKey] | None,
    ) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            check = dg.AssetCheckSpec("sound", asset=name, blocking=True, partitions_def=partitions)

        @dg.asset(
            name=name,
            deps=deps,
            partitions_def=partitions,
            automation_condition=condition,
            code_version="1",
            check_specs=[check],
        )
        def toy(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
            key = (name, context.partition_key if context.has_partition_key else None)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(self.content.get(key, "first")),
                check_results=[dg.AssetCheckResult(passed=key not in self.refused)],
            )

        return toy


@pytest.fixture
def toys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Toys, Clock, Callable[[str, str | None], object]]]:
    """Toy assets, all materialised once, after the first evaluation."""
    with kept_environment(), dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv(HOME, str(tmp_path))  # the conditions read the configuration, and nothing else of a home
        monkeypatch.setenv(CONFIG, str(TINY))
        toys = Toys()
        job = toys.definitions.resolve_implicit_global_asset_job_def()

        def run(asset: str, partition: str | None) -> dg.ExecuteInProcessResult:
            return job.execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(asset)], partition_key=partition, raise_on_error=False
            )

        for day in ("monday", "tuesday"):
            run("days", day)
        run("panel", None)
        for asset in ("folds", "stats", "network"):
            for fold in ("old", "new"):
                run(asset, fold)
        run("report", None)
        clock = Clock(toys.definitions, instance, run)
        assert clock.ticks(AFTERNOON - 5 * MINUTE, 2) == []
        yield toys, clock, run


Toy = tuple[Toys, Clock, Callable[[str, str | None], object]]


def changed(toys: Toys, *artefacts: tuple[str, str | None]) -> None:
    """From now on these have another content."""
    toys.content |= dict.fromkeys(artefacts, "second")


def test_in_one_night_the_whole_chain_of_the_changed_fold_is_computed_and_the_report_once(toys: Toy) -> None:
    chain, clock, run = toys
    changed(chain, ("panel", None), ("folds", "new"), ("stats", "new"), ("network", "new"))
    run("days", "tuesday")
    assert clock.ticks(AFTERNOON, 4) == [{"panel": {None}}, {"folds": {"old", "new"}}]
    assert clock.ticks(EVENING, 6) == [{"stats": {"new"}}, {"network": {"new"}}, {"report": {None}}]


def test_heavy_stages_wait_from_the_morning_until_the_evening(toys: Toy) -> None:
    chain, clock, run = toys
    changed(chain, ("folds", "new"))
    assert clock.ticks(EVENING, 3) == []
    run("folds", "new")
    assert clock.ticks(datetime(2026, 11, 20, 7, 1, tzinfo=TOKYO), 3) == [], "the window is shut at seven"
    assert clock.ticks(datetime(2026, 11, 20, 19, 59, tzinfo=TOKYO), 2) == [{"stats": {"new"}}]


def test_a_heavy_stage_with_equal_content_stops_the_chain(toys: Toy) -> None:
    chain, clock, run = toys
    run("stats", "old")
    changed(chain, ("stats", "new"))
    run("stats", "new")
    assert clock.ticks(EVENING, 6) == [{"network": {"new"}}], "equal statistics of the old fold, an equal network"


def test_a_fold_that_fails_its_check_holds_up_itself_and_no_other_fold(toys: Toy) -> None:
    chain, clock, run = toys
    changed(chain, *[("stats", fold) for fold in ("old", "new")], *[("folds", fold) for fold in ("old", "new")])
    chain.refused.add(("stats", "new"))
    for fold in ("old", "new"):
        run("folds", fold)
    assert clock.ticks(EVENING, 5) == [{"stats": {"old", "new"}}, {"network": {"old"}}]
    chain.refused.clear()
    run("stats", "new")
    assert clock.ticks(EVENING + 10 * MINUTE, 3) == [{"network": {"new"}}, {"report": {None}}]


def test_the_report_waits_for_the_fold_that_fails_its_check(toys: Toy) -> None:
    chain, clock, run = toys
    changed(chain, *[("network", fold) for fold in ("old", "new")])
    chain.refused.add(("network", "new"))
    for fold in ("old", "new"):
        run("network", fold)
    assert clock.ticks(AFTERNOON, 3) == []
    chain.refused.clear()
    run("network", "new")
    assert clock.ticks(AFTERNOON + 10 * MINUTE, 2) == [{"report": {None}}]


def test_a_day_that_fails_its_check_is_not_followed(toys: Toy) -> None:
    chain, clock, run = toys
    chain.refused.add(("days", "tuesday"))
    run("days", "tuesday")
    assert clock.ticks(AFTERNOON, 3) == []
    chain.refused.clear()
    run("days", "tuesday")
    assert clock.ticks(AFTERNOON + 5 * MINUTE, 2) == [{"panel": {None}}]


def test_the_two_automation_sensors_share_out_the_assets_between_them(place: Place) -> None:
    repository = place.definitions.get_repository_def()
    graph = place.definitions.resolve_asset_graph()
    chosen = {
        sensor.name: {key.to_user_string() for key in sensor.asset_selection.resolve(graph)}
        for sensor in repository.sensor_defs
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    }
    conditioned = {
        key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).automation_condition
    }
    assert chosen["light_automation"] == LIGHT
    assert chosen["heavy_automation"] == conditioned - LIGHT
