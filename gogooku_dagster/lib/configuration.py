"""The configuration that this code location was loaded with (read once, when Dagster imports the definitions)."""

from functools import cache

import dagster as dg

from gogooku_dagster.lib import partitions
from gogooku_dagster.lib.home import Installation, last_installation


@cache
def current() -> Installation:
    """Home and configuration from the two environment variables."""
    return last_installation()


@cache
def day_partitions() -> dg.PartitionsDefinition[str]:
    """Trading days of the configured source and calendar."""
    return partitions.trading_days(current())


@cache
def fold_partitions() -> dg.StaticPartitionsDefinition:
    """Folds of the configured preset."""
    return partitions.folds(current().settings)
