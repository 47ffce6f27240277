"""``gogooku run``: materialise what is missing or stale, through Dagster."""

from datetime import date

import click

from gogooku_dagster.cli import options
from model.lineage.graph import ASSET_NAMES, BY_NAME
from model.store.pages import page_path


@click.command("run", epilog=f"The assets, in order: {', '.join(ASSET_NAMES)}.")
@options.configuration
@click.option("--until", metavar="ASSET", help="Stop after this asset; those that it does not need are left out.")
@click.option("--select", multiple=True, metavar="ASSET", help="Only these assets (comma-separated or repeated).")
def command(config: str | None, overrides: tuple[str, ...], until: str | None, select: tuple[str, ...]) -> int:
    """Compute what is missing or stale; print the headline."""
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import installation_to_run
    from gogooku_dagster.lib.progress import listening
    from gogooku_dagster.lib.reconcile import Reconciler, chosen

    # A bad name, configuration or source is refused before anything is touched.
    names = [name.strip() for item in select for name in item.split(",") if name.strip()]
    place = installation_to_run(config, overrides)
    stages = chosen(until, names, place.settings)
    with Terminal() as terminal, listening(terminal):
        reconciler = Reconciler(place, load_definitions, date.today())
    reconciler.require_enough_days(stages)
    with Terminal() as terminal, listening(terminal):
        outcome = reconciler.bring_up_to_date(until, names, terminal.step)
    for manifest in outcome.computed:
        for page in BY_NAME[manifest.asset].pages() if manifest.partition is None else ():
            click.echo(f"{page.title}: {page_path(place.store.home, manifest.asset, page.name)}", err=True)
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
    return f"{artefacts(computed)} computed in {seconds:.1f} s."


def artefacts(count: int) -> str:
    """A count with its noun."""
    return f"{count:,} artefact" if count == 1 else f"{count:,} artefacts"
