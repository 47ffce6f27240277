"""The code location: loads ``defs/`` and applies policy to all assets once. Nothing heavy is imported here."""

from datetime import timedelta
from pathlib import Path

import dagster as dg

from gogooku_dagster.lib.configuration import current

NIGHTLY = ("daily_quotes", "raw_dataset", "quality_features")


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that Dagster runs."""
    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    if current().settings.source.end is not None:
        return loaded  # a source that has ended is never late
    fresh_by_morning = dg.FreshnessPolicy.cron(
        deadline_cron="0 8 * * 2-6",
        lower_bound_delta=timedelta(hours=14),
        timezone=current().settings.calendar.timezone,
    )
    return loaded.permissive_map_resolved_asset_specs(
        func=lambda spec: dg.apply_freshness_policy(spec, fresh_by_morning),
        selection=dg.AssetSelection.assets(*NIGHTLY),
    )
