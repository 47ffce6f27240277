"""``gogooku report``: the headline of the latest portfolio report."""

import json
from typing import TYPE_CHECKING

import click

from gogooku_dagster.cli import options

if TYPE_CHECKING:
    from gogooku_dagster.lib.home import Installation

ASSET = "portfolio_report"


@click.command("report")
@options.configuration
@options.as_json
def command(config: str | None, overrides: tuple[str, ...], as_json_: bool) -> int:
    """Print the headline table and where the report is."""
    from gogooku_dagster.lib.home import last_installation

    place = last_installation(config, overrides)
    place.settings  # noqa: B018 - refuse a bad configuration here as everywhere
    if as_json_:
        document = place.store.read_json(ASSET, "report.json")
        path = place.store.path(ASSET, "report.html")
        click.echo(json.dumps({"path": str(path), **document}, indent=1, ensure_ascii=False))
    else:
        print_headline(place)
    return 0


def print_headline(place: "Installation") -> None:
    """The headline table, and the path of the page."""
    from model.portfolio_report.headline import headline_text

    click.echo(headline_text(place.store.read_json(ASSET, "report.json")))
    click.echo(f"\nReport: {place.store.path(ASSET, 'report.html')}")
    click.echo(f"Tables: {place.home / 'catalog.duckdb'} (DuckDB: SELECT * FROM validation_predictions)")
