"""What J-Quants gave and what its plan lacks, as its own record of coverage says.

The record lies beside what was fetched (:mod:`model.daily_quotes.sources.jquants.cache`); nothing is asked for here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model.store.store import Store

if TYPE_CHECKING:
    from model.daily_quotes.sources.jquants.cache import Cache, Coverage
    from model.settings.root import Settings

_STATES = {"present": "served", "absent": "not in the plan"}


def plan_facts(store: Store, settings: "Settings") -> dict[str, Any] | None:
    """The plan, when it was last asked, days that are awaited and each table's state; None for any other source.

    Raises:
        SourceError: the record is not readable.
    """
    if settings.source.kind != "jquants":
        return None
    # Imported here: only this source needs the interface's own names.
    from model.daily_quotes.sources.jquants.cache import Cache
    from model.daily_quotes.sources.jquants.tables import TABLES

    cache = Cache(store.home)
    coverage = cache.coverage()
    return {
        "plan": coverage.plan or "not known",
        "synced": coverage.synced,
        "awaited": sorted(coverage.awaited),
        "tables": [_table(name, cache, coverage) for name in TABLES],
    }


def _cut(units: Mapping[str, int]) -> str:
    """What is said of units whose last answer was a cut one."""
    if not units:
        return ""
    return f"the last answer for {len(units)} of its units was cut (the first: {min(units)}), and older rows were kept."


def _table(name: str, cache: "Cache", coverage: "Coverage") -> dict[str, Any]:
    status = coverage.status(name)
    return {
        "name": name,
        "state": _STATES.get(status.state, status.state),
        "message": " ".join(filter(None, (status.message, _cut(coverage.cut.get(name, {}))))),
        "from": status.window[0],
        "to": status.window[1],
        "rows": sum(entry.rows for entry in cache.entries(name).values()),
        "left_out": sum(coverage.left_out.get(name, {}).values()),
        "asked": status.asked,
    }
