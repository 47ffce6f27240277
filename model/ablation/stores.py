"""Where the trainings find their tensors: a store a simulated market, and the home's own for data that are not."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from model.ablation.markets import OWN, Market
from model.errors import StoreError
from model.lineage.build import bring_up_to_date
from model.lineage.graph import STAGES
from model.lineage.source_days import known_days
from model.lineage.staleness import Lineage
from model.settings.root import Settings
from model.store.store import Store
from model.walk_forward_folds.settings import LIVE

WITH_BASELINES: frozenset[Market] = frozenset({"tabular", OWN})
"""Markets on which the baselines are trained as well: where the network is compared with them."""
_NETWORK_ONLY = frozenset({"trained_model", "validation_predictions", "portfolio_report"})

Progress = Callable[[str, int, int, str], None]
"""Told what is being done, units done, units in all, and a note."""


def ready_store(home: Path, settings: Settings, market: Market, today: date, progress: Progress) -> Store:
    """The store of a simulated market, brought up to date as far as the trainings need it.

    Args:
        home: folder of the markets' stores.
        settings: those of the market.
        today: the date that no simulated day may lie after.

    Raises:
        GogookuError: a stage cannot be computed.
    """
    store = Store(home / market)
    bring_up_to_date(
        store,
        settings,
        today,
        without=_NETWORK_ONLY if market in WITH_BASELINES else _NETWORK_ONLY | {"baseline"},
        on_stage=lambda asset, due: progress(f"market {market}", 0, due, asset),
    )
    return store


def require_up_to_date(store: Store, settings: Settings) -> Store:
    """The store itself, if all that the trainings read is what `gogooku run` would compute now.

    The source is not asked whether it has newer days.

    Raises:
        StoreError: a stage is missing or stale.
    """
    lineage = Lineage(store, settings, known_days(store, settings))
    needed = [stage for stage in STAGES if stage.name not in _NETWORK_ONLY and stage.partitions != "day"]
    for stage in needed:
        for partition in lineage.partitions(stage.name):
            verdict = lineage.judge(stage.name, partition)
            if partition != LIVE and verdict.state != "fresh":
                what = f"{stage.name}/{partition}" if partition else stage.name
                why = f" ({verdict.reasons[0]})" if verdict.reasons else ""
                raise StoreError(
                    f"{what} in {store.home} is {verdict.state}{why}. The ablation of data that were not simulated "
                    "reads what `gogooku run` has computed: with the same configuration run "
                    "`gogooku run --until baseline` and `gogooku run --until atft_tensors` first."
                )
    return store
