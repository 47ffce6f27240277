"""Documents beside the artefacts that others than a stage write, as sources of the stages that read them.

The tracking store's count of configurations and the ablation study are inputs of the report like any other: here
Dagster gets to know them, so that a change of one of them alone makes the report stale in its eyes too, and automation
follows. The sensor looks at the files and reports an observation, without a run, where their content is neither what
it reported last nor what the reader's artefact was made from.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from gogooku_dagster.lib.assets import document_asset
from gogooku_dagster.lib.configuration import current
from gogooku_dagster.lib.materialise import DATA_VERSION_TAG
from gogooku_dagster.lib.workspace import Workspace
from model.lineage.graph import STAGES
from model.store import documents
from model.store.store import Store

ABSENT = "absent"
"""The data version of a document that is not there."""


def version(store: Store, name: str) -> str:
    """A document's data version: the hash of its content."""
    return documents.content_hash(store, name) or ABSENT


_observed: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.multi_observable_source_asset(
    specs=[
        dg.AssetSpec(document_asset(name), group_name="documents", description=f"`{name}`: {about}")
        for name, about in documents.ABOUT.items()
    ],
    can_subset=True,
)


@_observed
def beside_the_artefacts(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[dg.ObserveResult]:
    """Look at the documents now."""
    store = workspace.installation().store
    for name in documents.ABOUT:
        key = dg.AssetKey(document_asset(name))
        if key in context.selected_asset_keys:
            yield dg.ObserveResult(asset_key=key, data_version=dg.DataVersion(version(store, name)))


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports documents beside the artefacts whose content is new to their reader.",
)
def documents_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report documents whose content is new to their reader."""
    store = current().store
    reported: dict[str, str] = json.loads(context.cursor or "{}")
    events = []
    for stage in STAGES:
        manifest = store.manifest(stage.name) if stage.documents else None
        for name in stage.documents:
            now, read = version(store, name), ABSENT if manifest is None else manifest.inputs.get(name, ABSENT)
            if now not in (read, reported.get(name)):
                events.append(dg.AssetObservation(document_asset(name), tags={DATA_VERSION_TAG: now}))
            reported[name] = now
    return dg.SensorResult(asset_events=events, cursor=json.dumps(reported, sort_keys=True))
