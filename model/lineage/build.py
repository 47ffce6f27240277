"""Bring a store up to date without an orchestrator: every stage in order, exactly what is stale or missing.

People run the graph through Dagster. This is for work that needs a store of its own for an hour, such as a market that
is simulated to measure one part of the network, and for tests of the graph.
"""

from collections.abc import Callable
from datetime import date

from model.lineage.graph import STAGES, descendants
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage
from model.settings.root import Settings
from model.store.stage import StageRun
from model.store.store import Store

Built = tuple[str, str | None]


def bring_up_to_date(
    store: Store,
    settings: Settings,
    today: date,
    *,
    without: frozenset[str] = frozenset(),
    on_stage: Callable[[str, int], None] = lambda asset, due: None,
) -> list[Built]:
    """Materialise what is not fresh, and say what that was.

    Checks are not run: whoever publishes the result runs them through Dagster.

    Args:
        today: the date that no row may lie after.
        without: assets that are left alone, and with them all that depends on them.
        on_stage: told each asset with something to do, and how many partitions.

    Raises:
        GogookuError: a stage cannot be computed.
    """
    from model.daily_quotes.stage import ingest

    lineage = Lineage(store, settings, look_up(store, settings, today))
    left_alone = without.union(*(descendants(each, settings) for each in without))
    built: list[Built] = []
    for stage in STAGES:
        if stage.name in left_alone:
            continue
        due = [each for each in lineage.partitions(stage.name) if lineage.judge(stage.name, each).state != "fresh"]
        if due:
            on_stage(stage.name, len(due))
        if stage.name == "daily_quotes":
            days = {date.fromisoformat(str(each)): lineage.identity(stage.name, each) for each in due}
            for _ in ingest(store, settings, days):
                pass
        else:
            for each in due:
                stage.materialise(StageRun(store, settings, lineage.identity(stage.name, each), each))
        lineage.forget(stage.name)
        built += [(stage.name, each) for each in due]
    return built
