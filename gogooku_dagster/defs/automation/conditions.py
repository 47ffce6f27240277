"""When an asset follows its inputs by itself: on changed content, never on bad data, heavy work at night.

``eager`` is not used: it looks at updates instead of content, waits for ever on one missing day, and requests the
whole chain at once. See docs/decisions.
"""

from typing import Any

import dagster as dg

from gogooku_dagster.lib.configuration import current

Condition = dg.AutomationCondition[Any]


def follow_days() -> Condition:
    """When any day was ingested again: the one edge whose staleness Dagster does not evaluate."""
    updated: Condition = dg.AutomationCondition.any_deps_updated()
    return (updated.since_last_handled() & _idle()).with_label("follow_days")


def follow() -> Condition:
    """When an input's content or the asset's own code changed, and every blocking check of the inputs passed."""
    return (_needed() & _ready()).with_label("follow")


def follow_at_night() -> Condition:
    """As ``follow``, between the two cron ticks of ``runtime.night_window`` only.

    A window and not a tick: a chain of stages then finishes in one night instead of one layer a night.
    """
    settings = current().settings
    opens, shuts = settings.runtime.night_window
    zone = settings.calendar.timezone
    night = dg.AutomationCondition.cron_tick_passed(opens, zone).since(
        dg.AutomationCondition.cron_tick_passed(shuts, zone)
    )
    return (_needed() & _ready() & night).with_label("follow_at_night")


def _needed() -> Condition:
    changed: Condition = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    code: Condition = dg.AutomationCondition.code_version_changed()
    missing: Condition = dg.AutomationCondition.newly_missing()
    return (changed | code | missing).since_last_handled()


def _ready() -> Condition:
    return (
        _idle() & ~dg.AutomationCondition.any_deps_missing() & dg.AutomationCondition.all_deps_blocking_checks_passed()
    )


def _idle() -> Condition:
    return ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
