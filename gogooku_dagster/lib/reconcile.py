"""Recomputing exactly what is stale or missing, stage by stage, through Dagster.

Stages are taken in graph order and judged one after the other, so that a rebuild which yields equal content stops
the ripple. Each run is an ordinary Dagster run on the installation's instance: the UI shows it like any other.
"""

import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from gogooku_dagster.lib import partitions
from gogooku_dagster.lib.home import Installation
from model.errors import GogookuError
from model.lineage.graph import ASSET_NAMES, BY_NAME, STAGES, Stage, descendants
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage, Verdict
from model.store import verdicts
from model.store.catalogue import write_catalogue
from model.store.manifest import Manifest

JOB_OF = {"day": "ingest", "fold": "folds"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailedError(GogookuError):
    """A Dagster run did not succeed; the message is the paragraph for the person."""


@dataclass(frozen=True)
class Step:
    """One asset and the partitions of it that will be computed in one go (None where it has none)."""

    asset: str
    partitions: tuple[str | None, ...]
    reasons: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What a reconciliation did."""

    computed: list[Manifest] = field(default_factory=list)
    seconds: float = 0.0


class Reconciler:
    """Brings an installation up to date.

    Args:
        definitions: loads the Dagster definitions (late, so that a command with nothing to do needs none).
        today: the date that no row may lie after.
    """

    def __init__(self, installation: Installation, definitions: Callable[[], dg.Definitions], today: date) -> None:
        self.installation = installation
        self.lineage = Lineage(
            installation.store,
            installation.settings,
            look_up(installation.store, installation.settings, today),
        )
        self._definitions = definitions
        self._loaded: dg.Definitions | None = None
        self._instance: dg.DagsterInstance | None = None

    def due(self, stage: Stage, force: Collection[str] = ()) -> list[Verdict]:
        """The artefacts of a stage that are stale or missing now."""
        verdicts = [self.lineage.judge(stage.name, each) for each in self.lineage.partitions(stage.name)]
        return [verdict for verdict in verdicts if verdict.state != "fresh" or stage.name in force]

    def forecast(self) -> list[Verdict]:
        """What is stale or missing now, and what may follow: at most this will be computed."""
        found: list[Verdict] = []
        touched: dict[str, set[str | None]] = {}
        for stage in STAGES:
            due = {verdict.partition: verdict for verdict in self.due(stage)}
            for partition in self.lineage.partitions(stage.name):
                cause = self._cause(stage, partition, touched)
                if partition not in due and cause is not None:
                    due[partition] = Verdict(stage.name, partition, "stale", (f"{cause} will be computed",))
            touched[stage.name] = set(due)
            found += due.values()
        return found

    def bring_up_to_date(
        self,
        until: str | None = None,
        select: Sequence[str] = (),
        on_step: Callable[[Step, int, int], None] = lambda step, done, total: None,
    ) -> Outcome:
        """Compute what is stale or missing, up to and including ``until``, among ``select`` where given.

        Raises:
            RunFailedError: a run failed or a blocking check refused an artefact.
        """
        started = time.perf_counter()
        outcome = Outcome()
        stages = self._stages(until, select)
        for position, stage in enumerate(stages):
            due = self.due(stage)
            if due:
                self._dagster()
            groups = self._groups(stage, [verdict.partition for verdict in due])
            for partitions_of_run in groups:
                on_step(Step(stage.name, partitions_of_run), position, len(stages))
                self._launch(stage, partitions_of_run)
                self.lineage.forget(stage.name)
                outcome.computed += self._manifests(stage, partitions_of_run)
            gc.collect()
        if outcome.computed:
            write_catalogue(self.installation.store)
        outcome.seconds = time.perf_counter() - started
        return outcome

    def _stages(self, until: str | None, select: Sequence[str]) -> list[Stage]:
        for name in [*select, *([until] if until else [])]:
            if name not in BY_NAME:
                raise RunFailedError(f"There is no asset {name!r}. The assets are {', '.join(ASSET_NAMES)}.")
        last = until or ASSET_NAMES[-1]
        wanted = [stage for stage in STAGES if last == stage.name or last in descendants(stage.name)]
        return [stage for stage in wanted if not select or stage.name in select]

    def _groups(self, stage: Stage, due: Sequence[str | None]) -> list[tuple[str | None, ...]]:
        """Days next to one another go into one run; everything else is a run of its own."""
        if stage.partitions != "day":
            return [(partition,) for partition in due]
        order = {day: position for position, day in enumerate(self.lineage.partitions(stage.name))}
        groups: list[list[str | None]] = []
        for day in due:
            if groups and order[day] == order[groups[-1][-1]] + 1:
                groups[-1].append(day)
            else:
                groups.append([day])
        return [tuple(group) for group in groups]

    def _cause(self, stage: Stage, partition: str | None, touched: dict[str, set[str | None]]) -> str | None:
        for upstream in stage.upstream:
            changed = touched.get(upstream, set())
            same_kind = BY_NAME[upstream].partitions == stage.partitions
            if (partition in changed) if same_kind else bool(changed):
                return upstream
        return None

    def _launch(self, stage: Stage, run_partitions: tuple[str | None, ...]) -> None:
        definitions, instance = self._dagster()
        tags: dict[str, Any] = {}
        key = run_partitions[0]
        if len(run_partitions) > 1:
            tags = {
                ASSET_PARTITION_RANGE_START_TAG: run_partitions[0],
                ASSET_PARTITION_RANGE_END_TAG: run_partitions[-1],
            }
            key = None
        result = definitions.resolve_job_def(self._job(stage)).execute_in_process(
            instance=instance,
            partition_key=key,
            asset_selection=[dg.AssetKey(stage.name)],
            tags=tags,
            run_config=_QUIET,
            raise_on_error=False,
        )
        if not result.success:
            raise RunFailedError(self._explain(stage, run_partitions, result))

    def _job(self, stage: Stage) -> str:
        if stage.partitions in JOB_OF:
            return JOB_OF[stage.partitions]
        return "report" if stage.name == "portfolio_report" else "dataset"

    def _dagster(self) -> tuple[dg.Definitions, dg.DagsterInstance]:
        if self._loaded is None or self._instance is None:
            self.installation.prepare()
            self._loaded = self._definitions()
            self._instance = dg.DagsterInstance.from_config(str(self.installation.dagster_home))
            if self.installation.settings.calendar.exchange == "from_data":
                days = [str(day) for day in self.lineage.partitions("daily_quotes")]
                self._instance.add_dynamic_partitions(partitions.DYNAMIC_DAYS, days)
        return self._loaded, self._instance

    def _manifests(self, stage: Stage, run_partitions: tuple[str | None, ...]) -> Iterator[Manifest]:
        for partition in run_partitions:
            manifest = self.lineage.manifest(stage.name, partition)
            if manifest is not None:
                yield manifest

    def _refusals(self, asset: str, partition: str | None) -> tuple[str, ...]:
        self.lineage.forget(asset)
        manifest = self.lineage.manifest(asset, partition)
        return () if manifest is None else verdicts.refusals(self.installation.store, manifest)

    def _explain(self, stage: Stage, run_partitions: tuple[str | None, ...], result: dg.ExecuteInProcessResult) -> str:
        where = stage.name if run_partitions[0] is None else f"{stage.name} [{run_partitions[0]}]"
        refused = [reason for partition in run_partitions for reason in self._refusals(stage.name, partition)]
        if refused:
            return (
                f"{where} was computed and refused: {'; '.join(refused[:5])} What depends on it was not computed. "
                "Mend the data or the setting that the check names, and run the command again."
            )
        for event in result.all_events:
            if event.is_step_failure:
                error = event.step_failure_data.error
                root = error
                while root is not None and root.cause is not None:
                    root = root.cause
                if root is not None:
                    return f"{where} failed. {_message(root.cls_name, root.message)}"
        return f"{where} failed; see the run {result.run_id} in the Dagster UI."


def _message(kind: str | None, message: str) -> str:
    text = message.strip()
    prefix = f"{kind}: " if kind else ""
    for name in (prefix, f"model.errors.{prefix}"):
        text = text.removeprefix(name)
    known = kind in ("SourceError", "DataError", "StoreError", "TrainingError", "SettingsError", "Failure")
    return text if known or kind is None else f"{kind}: {text}"
