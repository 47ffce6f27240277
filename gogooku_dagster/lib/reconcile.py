"""Recomputing exactly what is stale or missing, stage by stage, through Dagster.

Stages are taken in graph order and judged one after the other, so that a rebuild which yields equal content stops
the ripple. Each run is an ordinary Dagster run on the installation's instance: the UI shows it like any other.
"""

import difflib
import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from gogooku_dagster.lib import exclusive, overheads, partitions
from gogooku_dagster.lib.credentials import source_access
from gogooku_dagster.lib.event_log import open_instance
from gogooku_dagster.lib.home import Installation
from gogooku_dagster.lib.materialise import FIRST_DAY, LAST_DAY, run_checks
from model.errors import GogookuError
from model.lineage.graph import ASSET_NAMES, BY_NAME, STAGES, Stage, descendants
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage, UnreadyInputs, Verdict
from model.raw_dataset.stage import require_days
from model.settings.root import Settings
from model.store.catalogue import is_in_place, write_catalogue
from model.store.manifest import Manifest
from model.walk_forward_folds.splitter import make_fold

JOB_OF = {"day": "ingest", "fold": "folds"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailedError(GogookuError):
    """A Dagster run did not succeed; the message is the paragraph for the person."""


class UnknownAssetError(GogookuError):
    """An asset that there is none of by this name."""


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
    in_steps: float = 0.0
    """Of the seconds, those between the begin and the end of a step."""


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
            look_up(installation.store, installation.settings, today, source_access()),
        )
        self._definitions = definitions
        self._loaded: dg.Definitions | None = None
        self._instance: dg.DagsterInstance | None = None
        self._beside = overheads.read(installation.home)

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
            DataError: the source's days cannot fill what the settings ask for (known before anything is computed).
            RunFailedError: an input is missing, a run failed or a blocking check refused an artefact.
            BusyError: another command is computing in the same storage root.
            KeyboardInterrupt: a run was interrupted; what it finished is kept.
        """
        started = time.perf_counter()
        outcome = Outcome()
        try:
            with exclusive.exclusive(self.installation):
                self.installation.prepare()  # what the steps read: not before it is certain that nobody else computes
                self._compute(chosen(until, select, self.installation.settings), outcome, on_step)
                if outcome.computed or not is_in_place(self.installation.store):
                    write_catalogue(self.installation.store)
        finally:
            outcome.seconds = time.perf_counter() - started
            if outcome.computed:  # also of a run that was stopped: the next one does the rest only
                self._beside.run = round(outcome.seconds - outcome.in_steps, 3)
                self._beside.write(self.installation.home)
        return outcome

    def _compute(self, stages: Sequence[Stage], outcome: Outcome, on_step: Callable[[Step, int, int], None]) -> None:
        self.require_enough_days(stages)
        for position, stage in enumerate(stages):
            self._judge_again(stage)
            due = self.due(stage)
            self._require_inputs(stage, due)
            if due:
                self._dagster()
            for run_partitions in self._groups(stage, [verdict.partition for verdict in due]):
                on_step(Step(stage.name, run_partitions), position, len(stages))
                self._launch_measured(stage, run_partitions, outcome)
            if due:
                gc.collect()

    def _judge_again(self, stage: Stage) -> None:
        """Run the checks of what was refused once more: the settings, or what they compare with, may be others now."""
        for partition in self.lineage.partitions(stage.name):
            manifest = self.lineage.manifest(stage.name, partition)
            if manifest is None or not self.lineage.refusals(manifest):
                continue
            if self.lineage.judge(stage.name, partition).state != "fresh":
                continue  # it is computed anew, and judged then
            run_checks(self.installation, stage.name, partition, manifest)
            if reasons := self.lineage.refusals(manifest):
                raise RunFailedError(f"{stage.name}{_bracketed(partition)} is refused: {_refused(reasons)}")

    def require_enough_days(self, stages: Sequence[Stage] = STAGES) -> None:
        """Refuse at once, in the words of the stage itself, a source whose days a later stage would refuse.

        Raises:
            DataError: fewer days than the universe looks back at, or than a fold needs.
        """
        settings, names = self.installation.settings, {stage.name for stage in stages}
        days = sorted(self.lineage.days)
        path = getattr(settings.source, "path", "")
        where = f"The source {path}" if path else "The source"
        if "raw_dataset" in names:
            require_days(days, settings.quality.min_days, settings.universe, where)
        if "walk_forward_folds" in names:
            enough = [settings.folds.min_names] * len(days)
            for fold in self.lineage.partitions("walk_forward_folds"):
                make_fold(str(fold), days, enough, settings.labels.horizons, settings.folds)

    def _require_inputs(self, stage: Stage, due: Sequence[Verdict]) -> None:
        for verdict in due:
            try:
                self.lineage.identity(stage.name, verdict.partition)
            except UnreadyInputs as unready:
                more = len(unready.reasons) - 3
                reasons = "; ".join(reason.rstrip(".") for reason in unready.reasons[:3])
                raise RunFailedError(
                    f"{stage.name}{_bracketed(verdict.partition)} cannot be computed: "
                    f"{reasons}{f' (and {more} more)' if more > 0 else ''}. Compute or mend "
                    f"what it reads first: `gogooku run --until {stage.name}` computes all of it."
                ) from unready

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
        for upstream in stage.reads(self.installation.settings):
            changed = touched.get(upstream, set())
            same_kind = BY_NAME[upstream].partitions == stage.partitions
            if (partition in changed) if same_kind else bool(changed):
                return upstream
        return None

    def _launch_measured(self, stage: Stage, run_partitions: tuple[str | None, ...], outcome: Outcome) -> None:
        began = time.perf_counter()
        self._launch(stage, run_partitions)
        self.lineage.forget(stage.name)
        manifests = list(self._manifests(stage, run_partitions))
        seconds = time.perf_counter() - began
        outcome.computed += manifests
        outcome.in_steps += seconds
        self._beside.measured(seconds, manifests)

    def _launch(self, stage: Stage, run_partitions: tuple[str | None, ...]) -> None:
        definitions, instance = self._dagster()
        tags: dict[str, Any] = {exclusive.TAG: exclusive.COMMAND_LINE}
        key = run_partitions[0]
        if len(run_partitions) > 1:
            # Dagster's own tags of a range would store a planned event for each day and check before anything happens.
            tags |= {FIRST_DAY: run_partitions[0], LAST_DAY: run_partitions[-1]}
            key = None
        result = definitions.resolve_job_def(self._job(stage)).execute_in_process(
            instance=instance,
            partition_key=key,
            asset_selection=[dg.AssetKey(stage.name)],
            tags=tags,
            run_config=_QUIET,
            raise_on_error=False,
        )
        if _interrupted(result):
            raise KeyboardInterrupt
        if not result.success:
            raise RunFailedError(self._explain(stage, run_partitions, result))

    def _job(self, stage: Stage) -> str:
        if stage.partitions in JOB_OF:
            return JOB_OF[stage.partitions]
        return "report" if stage.name == "portfolio_report" else "dataset"

    def _dagster(self) -> tuple[dg.Definitions, dg.DagsterInstance]:
        if self._loaded is None or self._instance is None:
            self._loaded = self._definitions()
            self._instance = open_instance(self.installation.dagster_home)
            exclusive.clean_up_after_the_killed(self.installation, self._instance)
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
        return () if manifest is None else self.lineage.refusals(manifest)

    def _explain(self, stage: Stage, run_partitions: tuple[str | None, ...], result: dg.ExecuteInProcessResult) -> str:
        judged = any(event.event_type_value == "ASSET_CHECK_EVALUATION" for event in result.all_events)
        refused = {each: found for each in run_partitions if (found := self._refusals(stage.name, each))}
        if judged and refused:  # else it failed before, and what was refused is what an earlier run left
            first, reasons = next(iter(refused.items()))
            days = f" on {len(refused)} of {len(run_partitions)} days, first" if len(run_partitions) > 1 else ""
            return f"{stage.name} was computed and refused{days}{_bracketed(first)}: {_refused(reasons)}"
        where = stage.name + _bracketed(*dict.fromkeys((run_partitions[0], run_partitions[-1])))
        for event in result.all_events:
            if event.is_step_failure and event.step_failure_data.error is not None:
                return f"{where} failed. {root_cause(event.step_failure_data.error, result.run_id)}"
        return f"{where} failed; `gogooku ui` shows the run {result.run_id}."


def chosen(until: str | None, select: Sequence[str], settings: Settings) -> list[Stage]:
    """The stages up to and including ``until``, among ``select`` where given, in graph order.

    Raises:
        UnknownAssetError: there is no asset of that name; the message names the nearest one.
    """
    for name in [*select, *([until] if until else [])]:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, ASSET_NAMES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UnknownAssetError(f"There is no asset {name!r}.{hint} The assets are {', '.join(ASSET_NAMES)}.")
    last = until or ASSET_NAMES[-1]
    wanted = [stage for stage in STAGES if last == stage.name or last in descendants(stage.name, settings)]
    return [stage for stage in wanted if not select or stage.name in select]


def _bracketed(*partitions_named: str | None) -> str:
    """`` [first … last]``, or nothing where an asset has no partitions."""
    named = [partition for partition in partitions_named if partition is not None]
    return f" [{' … '.join(named)}]" if named else ""


def _refused(reasons: Sequence[str]) -> str:
    return (
        f"{' '.join(reasons[:3])} What depends on it was not computed. Mend the data or the setting that the check "
        "names, and run the command again."
    )


def _interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a step ended because somebody asked for it (Ctrl-C, a signal)."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(each.cls_name in _INTERRUPTS for error in errors if error is not None for each in _chain(error))


def _chain(error: Any) -> list[Any]:
    """A serialised error and what caused it, the deepest cause last."""
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    return chain


_INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
_FOR_PEOPLE = ("SourceError", "DataError", "StoreError", "TrainingError", "SettingsError", "Failure")


def root_cause(error: Any, run_id: str) -> str:
    """The message that was written for a person, else the deepest cause and where its trace is."""
    chain = _chain(error)
    for each in reversed(chain):
        if each.cls_name in _FOR_PEOPLE:
            return _without_name(each.cls_name, each.message)
    last = chain[-1]
    text = _without_name(last.cls_name, last.message).rstrip(".")
    return f"{last.cls_name}: {text}. `gogooku ui` shows the whole trace, under the run {run_id}."


def _without_name(kind: str | None, message: str) -> str:
    """A serialised message without the name of its class in front."""
    head, sign, rest = message.strip().partition(": ")
    return rest if sign and head.rsplit(".", 1)[-1] == kind else message.strip()
