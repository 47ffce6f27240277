"""When an asset follows its inputs by itself: on changed content, never on bad data, heavy work at night.

``eager`` is not used: it looks at updates instead of content, waits for ever on one missing day, and requests the
whole chain at once. See docs/decisions.
"""

from typing import Any

import dagster as dg

from gogooku_dagster.lib.configuration import current

Condition = dg.AutomationCondition[Any]


def follow_days() -> Condition:
    """When any day was ingested again (the one edge whose staleness Dagster does not evaluate), or the code changed.

    A day that is missing holds nothing up: the dataset is made without it, and a check names it.
    """
    updated: Condition = dg.AutomationCondition.any_deps_updated()
    code: Condition = dg.AutomationCondition.code_version_changed()
    needed: Condition = updated | code
    return (needed.since_last_handled() & _idle() & _passed()).with_label("follow_days")


def follow() -> Condition:
    """When an input's content or the asset's own code changed, and every blocking check of the inputs passed."""
    return (_needed() & _ready()).with_label("follow")


def follow_settled() -> Condition:
    """As ``follow``, but not while an input is itself still to be computed anew.

    For what reads the same change on a short and on a long way: the report reads a fold's dates at once, and its
    predictions only after a night.
    """
    return (_needed() & _ready() & _settled()).with_label("follow_settled")


def follow_at_night() -> Condition:
    """As ``follow_settled``, between the two cron ticks of ``runtime.night_window`` only.

    A window and not a tick: a chain of stages then finishes in one night instead of one layer a night.
    """
    settings = current().settings
    opens, shuts = settings.runtime.night_window
    zone = settings.calendar.timezone
    night = dg.AutomationCondition.cron_tick_passed(opens, zone).since(
        dg.AutomationCondition.cron_tick_passed(shuts, zone)
    )
    return (_needed() & _ready() & _settled() & night).with_label("follow_at_night")


def _needed() -> Condition:
    changed: Condition = dg.AutomationCondition.data_version_changed()
    code: Condition = dg.AutomationCondition.code_version_changed()
    missing: Condition = dg.AutomationCondition.newly_missing()
    needed: Condition = dg.AutomationCondition.any_deps_match(changed) | code | missing
    return needed.since_last_handled()


def _ready() -> Condition:
    # A document beside the artefacts need not be there: it is an input only where it exists.
    documents = dg.AssetSelection.groups("documents", include_sources=True)
    return _idle() & ~dg.AutomationCondition.any_deps_missing().ignore(documents) & _passed()


def _passed() -> Condition:
    # Not ``all_deps_blocking_checks_passed``: one good partition is enough there for an unpartitioned asset.
    not_passed = ~dg.AutomationCondition.check_passed()
    refused = dg.AutomationCondition.any_checks_match(not_passed, blocking_only=True).with_label("refused_by_a_check")
    none_refused: Condition = ~dg.AutomationCondition.any_deps_match(refused)
    return none_refused


def _settled() -> Condition:
    pending: Condition = dg.AutomationCondition.any_deps_match(_needed())
    return ~pending


def _idle() -> Condition:
    return ~dg.AutomationCondition.any_deps_in_progress() & ~dg.AutomationCondition.in_progress()
