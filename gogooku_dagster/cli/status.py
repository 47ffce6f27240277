"""``gogooku status``: every asset and partition, fresh, stale (why) or missing."""

import json
from collections import Counter
from datetime import date

import click

from gogooku_dagster.cli import options


@click.command("status")
@options.configuration
@options.as_json
def command(config: str | None, overrides: tuple[str, ...], as_json_: bool) -> int:
    """Show what is fresh, stale (and why) or missing."""
    from gogooku_dagster.lib.credentials import source_access
    from gogooku_dagster.lib.home import last_installation
    from model.lineage.graph import STAGES
    from model.lineage.source_days import look_up
    from model.lineage.staleness import Lineage

    place = last_installation(config, overrides)
    graph = Lineage(place.store, place.settings, look_up(place.store, place.settings, date.today(), source_access()))
    verdicts = list(graph.verdicts())
    refused = {(v.asset, v.partition): graph.refused(v.asset, v.partition) for v in verdicts if v.state == "fresh"}
    if as_json_:
        document = {
            "fresh": sum(verdict.state == "fresh" for verdict in verdicts),
            "stale": [
                {"asset": v.asset, "partition": v.partition, "reasons": list(v.reasons)}
                for v in verdicts
                if v.state == "stale"
            ],
            "missing": [{"asset": v.asset, "partition": v.partition} for v in verdicts if v.state == "missing"],
            "refused": [
                {"asset": asset, "partition": partition, "checks": list(checks)}
                for (asset, partition), checks in refused.items()
                if checks
            ],
            "left_over": [
                {"asset": stage.name, "partition": each} for stage in STAGES for each in graph.left_over(stage.name)
            ],
        }
        click.echo(json.dumps(document, indent=1))
        return 0
    for stage in STAGES:
        mine = [verdict for verdict in verdicts if verdict.asset == stage.name]
        counts = Counter(verdict.state for verdict in mine)
        states = ", ".join(f"{counts[state]} {state}" for state in ("fresh", "stale", "missing") if counts[state])
        left = graph.left_over(stage.name)
        over = f", {len(left)} no longer used ({left[0]}{' …' if len(left) > 1 else ''})" if left else ""
        click.echo(f"{stage.name:<24}{states}{over}")
        for verdict in [verdict for verdict in mine if verdict.state == "stale"][:8]:
            where = f"[{verdict.partition}] " if verdict.partition else ""
            more = f" (and {len(verdict.reasons) - 3} more)" if len(verdict.reasons) > 3 else ""
            click.echo(f"    {where}{'; '.join(verdict.reasons[:3])}{more}")
        for verdict in [verdict for verdict in mine if refused.get((verdict.asset, verdict.partition))][:8]:
            where = f"[{verdict.partition}] " if verdict.partition else ""
            click.echo(f"    {where}refused by {' '.join(refused[verdict.asset, verdict.partition][:3])}")
    return 0
