"""What every asset shares: the declaration that follows from the stage's place in the graph."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from gogooku_dagster.lib import configuration
from gogooku_dagster.lib.materialise import check_specs
from model.lineage.graph import BY_NAME, Stage

OWNERS = ["team:quant"]


def stage_asset(asset: str, **policy: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``@dg.asset`` with all that follows from the stage's place in the graph; ``policy`` is what does not."""
    if BY_NAME[asset].partitions == "fold":
        policy["backfill_policy"] = dg.BackfillPolicy.multi_run(1)
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(**_declaration(asset), **policy)
    return decorator


def _declaration(asset: str) -> dict[str, Any]:
    stage = BY_NAME[asset]
    partitions = _partitions(stage)
    return {
        "name": stage.name,
        "description": stage.description,
        "group_name": stage.group,
        "kinds": set(stage.kinds),
        "owners": OWNERS,
        "partitions_def": partitions,
        "deps": [
            *(_dependency(each, stage) for each in stage.reads(configuration.current().settings)),
            *(dg.AssetDep(document_asset(name)) for name in stage.documents),
        ],
        "code_version": f"{stage.code_version()[:16]}-{stage.settings_hash(configuration.current().settings)[:16]}",
        # The days of a run are checked together, so a verdict of theirs belongs to no single day.
        "check_specs": check_specs(
            asset, partitions if stage.partitions == "fold" else None, configuration.current().settings
        ),
        "tags": {"gogooku/stage": stage.name},
    }


def document_asset(name: str) -> str:
    """The asset that stands for a document beside the artefacts (``trials.json``: ``trials``)."""
    return name.removesuffix(".json")


def _partitions(stage: Stage) -> dg.PartitionsDefinition[str] | None:
    if stage.partitions == "none":
        return None
    return configuration.day_partitions() if stage.partitions == "day" else configuration.fold_partitions()


def _dependency(upstream: str, stage: Stage) -> dg.AssetDep:
    days = BY_NAME[upstream].partitions == "day" and stage.partitions == "none"
    return dg.AssetDep(upstream, partition_mapping=dg.AllPartitionMapping() if days else None)
