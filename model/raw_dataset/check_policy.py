"""What the settings make of a check: whether it blocks, only warns, or is not run at all.

A check says of itself whether it blocks and how grave a failure is. ``quality.checks`` may say otherwise, and its
word holds on both sides: the orchestrator learns it when it reads the definitions (a check that only warns is then
declared as one that does not block), and the outcome carries the matching severity when the check runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from model.raw_dataset.check_names import CHECKS_OF
from model.raw_dataset.settings import CheckMode
from model.store.checks import Check, CheckOutcome

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store

Policy = Mapping[str, CheckMode]


def under_policy(asset: str, checks: Sequence[Check], policy: Policy) -> tuple[Check, ...]:
    """The checks of an asset as the settings want them, in the same order.

    Args:
        policy: ``quality.checks``. It speaks of the data's assets only; a check that it does not name, or of another
            asset, stays as declared.
    """
    own = {name: mode for name, mode in policy.items() if name in CHECKS_OF.get(asset, ())}
    return tuple(
        _with_mode(check, own[check.name]) if check.name in own else check
        for check in checks
        if own.get(check.name) != "off"
    )


def refuses(asset: str, name: str, declared: bool, policy: Policy) -> bool:
    """Whether a failure that was recorded as ``declared`` (blocking or not) refuses the artefact under this policy."""
    return policy[name] == "block" if name in policy and name in CHECKS_OF.get(asset, ()) else declared


def _with_mode(check: Check, mode: CheckMode) -> Check:
    severity: Literal["error", "warn"] = "error" if mode == "block" else "warn"

    def run(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
        return replace(check.run(store, settings, partition), severity=severity)

    return replace(check, run=run, blocking=mode == "block")
