"""Resources and the executor, from the configuration."""

import dagster as dg

from gogooku_dagster.lib.configuration import current
from gogooku_dagster.lib.workspace import Workspace


@dg.definitions
def runtime() -> dg.Definitions:
    """One workspace for every asset; each step in a process of its own, never forked from a threaded one."""
    installation = current()
    return dg.Definitions(
        resources={"workspace": Workspace(home=str(installation.home), preset=str(installation.preset))},
        executor=dg.multiprocess_executor.configured(
            {
                "max_concurrent": installation.settings.runtime.parallel_steps,
                "start_method": {"forkserver": {"preload_modules": ["dagster", "polars"]}},
            }
        ),
    )
