"""``gogooku refresh``: recompute exactly what is stale, and say first what it will cost."""

import json
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from gogooku_dagster.cli import options
from gogooku_dagster.cli.run import artefacts, load_definitions, summary
from gogooku_dagster.lib.cost import forecast, recomputed

if TYPE_CHECKING:
    from model.lineage.staleness import Verdict
    from model.settings.root import Settings
    from model.store.manifest import Manifest
    from model.store.store import Store

_SHOWN = 8
"""Artefacts of one asset that are listed one by one."""
_STAGES_ONLY = " This counts the stages alone: no run has measured what comes beside them (checks, figures, Dagster)."


@click.command("refresh")
@options.configuration
@click.option("--dry-run", is_flag=True, help="Say what can be recomputed and what it can cost; compute nothing.")
@options.as_json
def command(config: str | None, overrides: tuple[str, ...], dry_run: bool, as_json_: bool) -> int:
    """Compute exactly what is stale; say the cost first."""
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import last_installation
    from gogooku_dagster.lib.progress import listening
    from gogooku_dagster.lib.reconcile import Reconciler

    place = last_installation(config, overrides)
    with Terminal(quiet=as_json_) as terminal, listening(terminal):
        reconciler = Reconciler(place, load_definitions, date.today())
    reconciler.require_enough_days()
    plan = _plan(place.store, place.settings, reconciler.forecast())
    if not as_json_:
        _print_plan(plan)
    if dry_run:
        if as_json_:
            click.echo(json.dumps(plan, indent=1))
        return 0
    with Terminal(quiet=as_json_) as terminal, listening(terminal):
        outcome = reconciler.bring_up_to_date(on_step=terminal.step)
    if as_json_:
        done = [
            {"asset": m.asset, "partition": m.partition, "seconds": m.seconds, "recomputed": recomputed(m)}
            for m in outcome.computed
        ]
        click.echo(json.dumps({**plan, "computed": done, "seconds": round(outcome.seconds, 2)}, indent=1))
        return 0
    for manifest in outcome.computed:
        _print_part(manifest)
    click.echo(summary(len(outcome.computed), outcome.seconds), err=True)
    return 0


def _plan(store: "Store", settings: "Settings", verdicts: Sequence["Verdict"]) -> dict[str, Any]:
    """At most what will be computed, with the seconds that it can cost."""
    from gogooku_dagster.lib import overheads

    beside = overheads.read(store.home)
    expected = forecast(store, settings, verdicts, beside)
    items: list[dict[str, Any]] = [
        {
            "asset": verdict.asset,
            "partition": verdict.partition,
            "state": verdict.state,
            "reasons": list(verdict.reasons),
            "estimated_seconds": None if seconds is None else round(seconds[1], 3),
            "least_seconds": None if seconds is None else round(seconds[0], 3),
        }
        for verdict, seconds in zip(verdicts, expected.seconds, strict=True)
    ]
    known = [seconds for seconds in expected.seconds if seconds is not None]
    around = (beside.run or 0.0) if items else 0.0
    return {
        "recompute": items,
        "estimated_seconds": round(around + sum(most for _, most in known), 2),
        "least_seconds": round(around + sum(least for least, _ in known), 2),
        "without_estimate": len(items) - len(known),
        "full_rebuild_seconds": round(expected.full_rebuild, 2),
        "stages_only": beside.run is None,
    }


def _print_part(manifest: "Manifest") -> None:
    """What of a partly mended artefact was computed, against all of it."""
    part = recomputed(manifest)
    if part is not None:
        click.echo(
            f"{manifest.asset}: {part['cells']:,} of {part['cells_of_a_full_build']:,} cells computed, "
            f"{part['chunks']} chunks written in {manifest.seconds:.1f} s (all of it took "
            f"{part['seconds_of_a_full_build']:.1f} s)."
        )


def _print_plan(plan: dict[str, Any]) -> None:
    items = plan["recompute"]
    if not items:
        click.echo("Everything is fresh: there is nothing to recompute.")
        return
    for asset, group in groupby(items, key=lambda item: str(item["asset"])):
        _print_asset(asset, list(group))
    new = plan["without_estimate"]
    unknown = f", and {artefacts(new)} never computed before" if new else ""
    alone = _STAGES_ONLY if plan["stages_only"] else ""
    click.echo(
        f"Upper bound: {artefacts(len(items))}, {_span(plan)}{unknown}. Where a rebuild gives equal content, what "
        f"follows stays fresh. A full rebuild took {plan['full_rebuild_seconds']:.1f} s.{alone}"
    )


def _span(item: dict[str, Any]) -> str:
    """Seconds, or from how many to how many: it depends on how many names of a day changed."""
    least, most = item["least_seconds"], item["estimated_seconds"]
    return f"{most:.1f} s" if most - least < 0.05 else f"{least:.1f} to {most:.1f} s"


def _print_asset(asset: str, items: list[dict[str, Any]]) -> None:
    for item in items[:_SHOWN]:
        name = asset + (f" [{item['partition']}]" if item["partition"] else "")
        seconds = "" if item["estimated_seconds"] is None else _span(item)
        reasons = item["reasons"]
        more = f" (and {len(reasons) - 2} more)" if len(reasons) > 2 else ""
        click.echo(f"{name:<38}{item['state']:<9}{seconds:>14}  {'; '.join(reasons[:2])}{more}".rstrip())
    if len(items) > _SHOWN:
        click.echo(f"{asset}: {len(items) - _SHOWN} more")
