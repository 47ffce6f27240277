"""``gogooku run``: materialise what is missing or stale, through Dagster."""

from datetime import date

import click

from gogooku_dagster.cli import options
from model.lineage.graph import ASSET_NAMES


@click.command("run")
@options.configuration
@click.option("--until", metavar="ASSET", help=f"Stop after this asset: one of {', '.join(ASSET_NAMES)}.")
@click.option("--select", multiple=True, metavar="ASSET", help="Only these assets (comma-separated or repeated).")
def command(config: str | None, overrides: tuple[str, ...], until: str | None, select: tuple[str, ...]) -> int:
    """Materialise what is missing or stale, and print where the report is."""
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import installation
    from gogooku_dagster.lib.progress import listening
    from gogooku_dagster.lib.reconcile import Reconciler

    place = installation(config, overrides)
    place.settings  # noqa: B018 - refuse a bad configuration before anything is touched
    place.prepare()
    names = [name.strip() for item in select for name in item.split(",") if name.strip()]
    with Terminal() as terminal, listening(terminal):
        outcome = Reconciler(place, load_definitions, date.today()).bring_up_to_date(until, names, terminal.step)
    click.echo(summary(len(outcome.computed), outcome.seconds), err=True)
    if until in (None, ASSET_NAMES[-1]) and (not names or ASSET_NAMES[-1] in names):
        from gogooku_dagster.cli.report import print_headline

        print_headline(place)
    return 0


def load_definitions():  # type: ignore[no-untyped-def]
    """The Dagster definitions of this code location, resolved."""
    from gogooku_dagster.definitions import defs

    return defs()


def summary(computed: int, seconds: float) -> str:
    """One line on what a run did."""
    if not computed:
        return f"Everything is fresh: nothing was recomputed ({seconds:.1f} s)."
    return f"{computed} artefacts computed in {seconds:.1f} s."
