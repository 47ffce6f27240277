"""From a Dagster step to a stage of ``model`` and back: identity, progress, checks, metadata.

Every asset's body is one call of ``materialise``. The stage computes and publishes its artefact; its checks run at
once, and their outcome is kept beside the artefact, so that a later run refuses input which failed a blocking check
(Dagster by itself only stops the run in which the check failed).
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from gogooku_dagster.lib import metadata
from gogooku_dagster.lib.credentials import source_access
from gogooku_dagster.lib.home import Installation
from gogooku_dagster.lib.progress import progress_of
from gogooku_dagster.lib.workspace import Workspace, lineage
from model.errors import GogookuError, SourceError
from model.lineage.graph import BY_NAME
from model.lineage.source_days import look_up
from model.lineage.staleness import UnreadyInputs
from model.raw_dataset.check_policy import under_policy
from model.settings.root import Settings
from model.store import verdicts
from model.store.checks import Check, CheckOutcome
from model.store.manifest import Identity, Manifest
from model.store.peak_memory import reset_peak_memory
from model.store.stage import Progress, StageEvents, StageRun

FIRST_DAY, LAST_DAY = "gogooku/first_day", "gogooku/last_day"
"""Tags of a run that fetches all trading days from one to another."""
CAUSE, AUTOMATION = "gogooku/cause", "automation"
"""Tag of a run that nobody asked for: a sensor saw that something changed."""
DATA_VERSION_TAG = "dagster/data_version"
CODE_VERSION_TAG = "dagster/code_version"


def check_specs(
    asset: str, partitions: dg.PartitionsDefinition[str] | None, settings: Settings
) -> list[dg.AssetCheckSpec]:
    """The checks of an asset under ``quality.checks``; one verdict a partition where ``partitions`` are given.

    Dagster fixes whether a check blocks when it reads the definitions, and so with the settings of that moment.
    """
    with warnings.catch_warnings():
        # Partitioned checks are in preview. Without them one fold's failed check would hold up every other fold.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=asset,
                blocking=check.blocking,
                description=check.description,
                partitions_def=partitions,
            )
            for check in checks_of(asset, settings)
        ]


def checks_of(asset: str, settings: Settings) -> tuple[Check, ...]:
    """An asset's checks as the settings want them: blocking, warning, or left out."""
    return under_policy(asset, BY_NAME[asset].checks(), settings.quality.checks)


def materialise(
    context: dg.AssetExecutionContext, workspace: Workspace, events: StageEvents | None = None
) -> dg.MaterializeResult:
    """Compute one artefact (the context's asset and partition) unless it is taken over; check it, and report it."""
    before = taken_over(context, workspace)
    if before is not None:
        return before
    asset, partition = _asked_for(context)
    installation = workspace.installation()
    manifest = _run(context, installation, asset, partition, events)
    return _reported(installation, asset, partition, manifest)


def taken_over(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult | None:
    """What is stored, checked and reported anew, where automation asks for what is as it must be; else None.

    A command computes under new settings or new code, and Dagster learns of these only when the code location is loaded
    again: its conditions then ask for everything that they touch. A click or a schedule always computes.
    """
    if context.run.tags.get(CAUSE) != AUTOMATION:
        return None
    asset, partition = _asked_for(context)
    installation = workspace.installation()
    graph = lineage(installation)
    manifest = graph.manifest(asset, partition)
    if manifest is None or graph.judge(asset, partition).state != "fresh":
        return None
    context.log.info(f"{asset} is fresh already: nothing is computed.")
    return _reported(installation, asset, partition, manifest)


def _asked_for(context: dg.AssetExecutionContext) -> tuple[str, str | None]:
    return context.asset_key.to_user_string(), context.partition_key if context.has_partition_key else None


def _reported(
    installation: Installation, asset: str, partition: str | None, manifest: Manifest
) -> dg.MaterializeResult:
    outcomes = run_checks(installation, asset, partition, manifest)
    store, settings = installation.store, installation.settings
    return dg.MaterializeResult(
        metadata=metadata.of_manifest(store, settings, manifest) | metadata.write_pages(store, settings, asset),
        data_version=dg.DataVersion(manifest.content_hash),
        check_results=[metadata.check_result(name, outcome, asset) for name, outcome in outcomes.items()],
    )


def ingest_days(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Any]:
    """Fetch the run's trading days, each an artefact of its own, reported under its own data version.

    Raises:
        dagster.Failure: the source cannot be used, or has no rows on one of the days; a retry cannot help.
    """
    from model.daily_quotes.stage import ingest

    asset = context.asset_key.to_user_string()
    installation = workspace.installation()
    progress = progress_of(context, asset, None)
    checked: list[tuple[Manifest, dict[str, CheckOutcome]]] = []

    def expecting(day: date) -> AbstractContextManager[None]:
        return verdicts.expecting(installation.store, asset, day.isoformat())

    try:
        identities = _days_as_they_are_now(installation, asset, context, progress)
        newest = max(identities, default=None)
        for day, manifest in ingest(
            installation.store, installation.settings, identities, progress, publishing=expecting
        ):
            checked.append((manifest, run_checks(installation, asset, manifest.partition, manifest)))
            # A thousand days need no thousand pictures and schemas: the newest one's are those that are shown.
            context.log_event(_day_event(context, installation, manifest, figures_only=day != newest))
    except GogookuError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    for name, outcome in _over_days(checked).items():
        yield metadata.check_result(name, outcome, asset)


def run_checks(
    installation: Installation, asset: str, partition: str | None, manifest: Manifest
) -> dict[str, CheckOutcome]:
    """Run an asset's checks on one artefact and keep the outcome beside it."""
    checks = checks_of(asset, installation.settings)
    outcomes = {check.name: check.run(installation.store, installation.settings, partition) for check in checks}
    blocking = {check.name for check in checks if check.blocking}
    verdicts.record(installation.store, manifest, outcomes, blocking)
    return outcomes


def _run(
    context: dg.AssetExecutionContext,
    installation: Installation,
    asset: str,
    partition: str | None,
    events: StageEvents | None,
) -> Manifest:
    identity = identity_of(installation, asset, partition)
    reset_peak_memory()
    progress = progress_of(context, asset, partition)
    run = StageRun(installation.store, installation.settings, identity, partition, progress, events)
    with verdicts.expecting(installation.store, asset, partition):
        return BY_NAME[asset].materialise(run)


def identity_of(installation: Installation, asset: str, partition: str | None) -> Identity:
    """What the artefact will be made from.

    Raises:
        dagster.Failure: an input is missing or failed a blocking check; the message names it.
    """
    try:
        return lineage(installation).identity(asset, partition)
    except UnreadyInputs as unready:
        raise dg.Failure(
            f"{asset} cannot be computed: {'; '.join(unready.reasons[:5])}. Materialise or mend the input first "
            "(`gogooku status` shows the whole graph).",
            allow_retries=False,
        ) from unready


def _days_as_they_are_now(
    installation: Installation, asset: str, context: dg.AssetExecutionContext, progress: Progress
) -> dict[date, Identity]:
    """What each day will be made from. The source is asked: a schedule wants days that nobody has looked up yet."""
    today = datetime.now(ZoneInfo(installation.settings.calendar.timezone)).date()
    known = look_up(installation.store, installation.settings, today, source_access(progress))
    first, last = context.run.tags.get(FIRST_DAY), context.run.tags.get(LAST_DAY)
    if first and last:
        days = [str(day) for day in sorted(known) if first <= str(day) <= last]
    else:
        days = list(context.partition_keys)
    absent = [day for day in days if date.fromisoformat(day) not in known]
    if absent:
        raise SourceError(
            f"The source has no rows on {len(absent)} of the {len(days)} days asked for, the first being {absent[0]}. "
            "Materialise these days once the source has them."
        )
    graph = lineage(installation)
    return {date.fromisoformat(day): graph.identity(asset, day) for day in days}


def _day_event(
    context: dg.AssetExecutionContext, installation: Installation, manifest: Manifest, *, figures_only: bool
) -> dg.AssetMaterialization:
    """A day's materialisation. Dagster adds the code version only to outputs, and days are reported as events."""
    code_version = context.assets_def.specs_by_key[context.asset_key].code_version
    return dg.AssetMaterialization(
        context.asset_key,
        partition=manifest.partition,
        metadata=metadata.of_manifest(installation.store, installation.settings, manifest, figures_only=figures_only),
        tags={DATA_VERSION_TAG: manifest.content_hash, CODE_VERSION_TAG: str(code_version)},
    )


def _over_days(days: Sequence[tuple[Manifest, dict[str, CheckOutcome]]]) -> dict[str, CheckOutcome]:
    """One outcome a check over all days of a run: the worst day's, with the count of days behind it.

    The figures are those of the newest day, so that the history of a nightly run is the history of the days.
    """
    worst: dict[str, CheckOutcome] = {}
    newest: dict[str, CheckOutcome] = {}
    failed: dict[str, list[str]] = {}
    for manifest, outcomes in days:
        for name, outcome in outcomes.items():
            if not outcome.passed:
                failed.setdefault(name, []).append(str(manifest.partition))
                if name not in worst or worst[name].passed or outcome.severity == "error":
                    worst[name] = outcome
            worst.setdefault(name, outcome)
            newest[name] = outcome
    return {
        name: CheckOutcome(
            outcome.passed,
            f"{len(failed.get(name, []))} of {len(days)} days did not pass. {outcome.summary}"
            if failed.get(name)
            else f"{len(days)} days passed.",
            outcome.severity,
            {**newest[name].metadata, "days": len(days), "failed_days": failed.get(name, [])[:20]},
        )
        for name, outcome in worst.items()
    }
