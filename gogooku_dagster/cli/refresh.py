"""``gogooku refresh``: recompute exactly what is stale, and say first what it will cost."""

import json
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from gogooku_dagster.cli import options
from gogooku_dagster.cli.run import artefacts, load_definitions, summary

if TYPE_CHECKING:
    from model.lineage.staleness import Verdict
    from model.store.store import Store

_SHOWN = 8
"""Artefacts of one asset that are listed one by one."""


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
    reconciler = Reconciler(place, load_definitions, date.today())
    reconciler.require_enough_days()
    forecast = reconciler.forecast()
    plan = _plan(place.store, forecast)
    if not as_json_:
        _print_plan(plan)
    if dry_run:
        if as_json_:
            click.echo(json.dumps(plan, indent=1))
        return 0
    place.prepare()
    with Terminal(quiet=as_json_) as terminal, listening(terminal):
        outcome = reconciler.bring_up_to_date(on_step=terminal.step)
    done = [{"asset": m.asset, "partition": m.partition, "seconds": m.seconds} for m in outcome.computed]
    if as_json_:
        click.echo(json.dumps({**plan, "computed": done, "seconds": round(outcome.seconds, 2)}, indent=1))
    else:
        click.echo(summary(len(done), outcome.seconds), err=True)
    return 0


def _plan(store: "Store", forecast: Sequence["Verdict"]) -> dict[str, Any]:
    """At most what will be computed; the seconds are those that each artefact took last time."""
    items: list[dict[str, Any]] = []
    for verdict in forecast:
        manifest = store.manifest(verdict.asset, verdict.partition)
        items.append(
            {
                "asset": verdict.asset,
                "partition": verdict.partition,
                "state": verdict.state,
                "reasons": list(verdict.reasons),
                "estimated_seconds": manifest.seconds if manifest else None,
            }
        )
    known = [item["estimated_seconds"] for item in items if item["estimated_seconds"] is not None]
    return {
        "recompute": items,
        "estimated_seconds": round(sum(known), 2),
        "without_estimate": len(items) - len(known),
        "full_rebuild_seconds": round(_full_rebuild_seconds(store), 2),
    }


def _full_rebuild_seconds(store: "Store") -> float:
    from model.lineage.graph import ASSET_NAMES

    total = 0.0
    for asset in ASSET_NAMES:
        for partition in store.partitions(asset):
            manifest = store.manifest(asset, None if partition == "all" else partition)
            total += manifest.seconds if manifest else 0.0
    return total


def _print_plan(plan: dict[str, Any]) -> None:
    items = plan["recompute"]
    if not items:
        click.echo("Everything is fresh: there is nothing to recompute.")
        return
    for asset, group in groupby(items, key=lambda item: str(item["asset"])):
        _print_asset(asset, list(group))
    new = plan["without_estimate"]
    unknown = f", and {artefacts(new)} never computed before" if new else ""
    click.echo(
        f"Upper bound: {artefacts(len(items))}, about {plan['estimated_seconds']:.1f} s{unknown}. Where a rebuild "
        f"gives equal content, what follows stays fresh. A full rebuild took {plan['full_rebuild_seconds']:.1f} s."
    )


def _print_asset(asset: str, items: list[dict[str, Any]]) -> None:
    for item in items[:_SHOWN]:
        name = asset + (f" [{item['partition']}]" if item["partition"] else "")
        seconds = "" if item["estimated_seconds"] is None else f"{item['estimated_seconds']:.1f} s"
        reasons = item["reasons"]
        more = f" (and {len(reasons) - 2} more)" if len(reasons) > 2 else ""
        click.echo(f"{name:<38}{item['state']:<9}{seconds:>8}  {'; '.join(reasons[:2])}{more}".rstrip())
    if len(items) > _SHOWN:
        click.echo(f"{asset}: {len(items) - _SHOWN} more")
