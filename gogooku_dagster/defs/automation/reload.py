"""A command may record another configuration while the web pages are open: then the code location loads itself anew.

A code location has the partitions, checks and code versions of the configuration that it was loaded with, and steps
read the one that was recorded last. Where the two differ, Dagster calls stale what a command has just computed.
"""

from contextlib import suppress

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin

from gogooku_dagster.lib.configuration import current
from gogooku_dagster.lib.home import Installation, last_installation
from model.store.hashing import json_hash

_ASKING_SECONDS = 2


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reloads this code location when a command has recorded another configuration in the home.",
)
def configuration_changed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Ask the code server to load the code location again, once for each configuration."""
    recorded = _content(last_installation())
    if recorded == _content(current()):
        context.update_cursor(recorded)
        return dg.SkipReason("The configuration is the one that this code location was loaded with.")
    if recorded == context.cursor:
        return dg.SkipReason("Another configuration is recorded, and a reload was asked for. See the code location.")
    origin = context.code_location_origin
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return dg.SkipReason("Another configuration is recorded: reload the code location.")
    context.update_cursor(recorded)
    # The server goes on by itself. It ends the process that asks here, so that nobody waits for the end of it.
    with suppress(DagsterUserCodeUnreachableError):
        origin.create_client().reload_code(timeout=_ASKING_SECONDS)
    return dg.SkipReason("Another configuration is recorded: the code location is being loaded again.")


def _content(installation: Installation) -> str:
    return json_hash(installation.settings.model_dump(mode="json"))
