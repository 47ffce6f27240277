"""``gogooku simulate``: the simulated market as files, with a preset that runs on them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gogooku_dagster.cli import options

if TYPE_CHECKING:
    from model.daily_quotes.sources.export import Format


@click.command("simulate")
@click.option("--out", required=True, metavar="DIR", help="The folder to write into; made if it is not there.")
@options.configuration
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Format of the files.",
)
@click.option("--force", is_flag=True, help="Replace what an earlier `gogooku simulate` wrote into the folder.")
def command(config: str | None, overrides: tuple[str, ...], out: str, kind: "Format", force: bool) -> int:
    """Write the simulated market out as files that the files source reads back."""
    from gogooku_dagster.cli.terminal import Terminal
    from gogooku_dagster.lib.home import installation
    from gogooku_dagster.lib.reconcile import Step
    from model.daily_quotes.settings import SimulatedSource
    from model.daily_quotes.sources.export import export, prepare_folder
    from model.daily_quotes.sources.simulated.source import SimulatedMarket
    from model.errors import SettingsError

    settings = installation(config, overrides).settings
    if not isinstance(settings.source, SimulatedSource):
        raise SettingsError(
            f"source.kind is {settings.source.kind}, and only a simulated market can be written out. Name a preset "
            "with a simulated source, such as --config demo."
        )
    folder = Path(out).expanduser().absolute()
    market = SimulatedMarket(settings=settings.source, calendar=settings.calendar)
    days = market.days()
    prepare_folder(folder, force=force)
    with Terminal() as terminal:
        terminal.step(Step("simulate", tuple(day.isoformat() for day in days)), 0, 2)
        batch = market.read(days)
        terminal.step(Step("write", (None,)), 1, 2)

        def progress(done: int, total: int, note: str = "") -> None:
            terminal.progress("write", None, done, total, note)

        written = export(batch, settings, folder, kind, progress)
    click.echo(f"{written.rows:,} rows in {written.files} files: {folder}")
    click.echo(f"Run them: gogooku run --config {written.preset}")
    return 0
