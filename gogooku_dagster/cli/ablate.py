"""``gogooku ablate``: what each part of the network is worth, where the truth is known."""

import json
from datetime import date

import click

from gogooku_dagster.cli import options

FOLDER = "ablation"
DOCUMENT = "claims.json"
PRESET = "ablation"


@click.command("ablate")
@options.configuration
@click.option(
    "--market",
    "markets",
    multiple=True,
    type=click.Choice(["whole", "tabular", "lead_lag", "regime"]),
    help="Only these simulated markets; may be repeated [all four].",
)
@click.option("--seeds", type=click.IntRange(1, 50), default=1, show_default=True, help="Trainings of each variant.")
@options.as_json
def command(
    config: str | None, overrides: tuple[str, ...], markets: tuple[str, ...], seeds: int, as_json_: bool
) -> int:
    """Measure what each part of the network is worth: on simulated markets with planted signals, or on your own data.

    Four markets are built from the preset's simulated source: with all signals, and with each kind alone. On each the
    network is trained with and without the part in question, at an equal budget, and judged out of fold against the
    reachable oracle. A configuration with another source is one market, whose tensors and baselines `gogooku run` has
    computed. A run that was stopped goes on where it was. The result lies in the home (ablation/claims.json; a summary,
    which the report shows, in ablation.json).
    """
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import installation
    from gogooku_dagster.lib.reconcile import Step
    from model.ablation.claims import document, summary
    from model.ablation.experiment import Plan, run
    from model.ablation.markets import judged_horizon, markets_of
    from model.ablation.table import text
    from model.store import atomic, documents

    place = installation(config or PRESET, overrides)
    settings, folder = place.settings, place.home / FOLDER
    chosen = markets_of(settings, markets)
    plan = Plan(chosen, tuple(range(settings.seed, settings.seed + seeds)))
    with Terminal(quiet=as_json_) as terminal:
        terminal.step(Step(FOLDER, (None,)), 0, 1)

        def progress(what: str, done: int, total: int, note: str) -> None:
            terminal.progress(FOLDER, None, done, total, f"{what} {note}".rstrip())

        outcome = run(folder, settings, plan, date.today(), progress, place.store)
        result = document(outcome.daily, outcome.trainings, settings.seed, judged_horizon(settings))
    atomic.write_bytes(folder / DOCUMENT, (json.dumps(result, indent=1) + "\n").encode())
    atomic.write_bytes(place.home / documents.ABLATION, (json.dumps(summary(result), indent=1) + "\n").encode())
    if as_json_:
        click.echo(json.dumps({"path": str(folder / DOCUMENT), **result}, indent=1))
    else:
        click.echo(text(result))
        click.echo(f"\nDocument: {folder / DOCUMENT}")
    return 0
