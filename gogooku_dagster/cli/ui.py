"""``gogooku ui``: Dagster's web server and daemon on this installation."""

import os
import sys
from pathlib import Path

import click

from gogooku_dagster.cli import options


@click.command("ui")
@options.configuration
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Port to listen on.")
def command(config: str | None, overrides: tuple[str, ...], host: str, port: int) -> int:
    """Open the Dagster UI with schedules and sensors, until it is stopped."""
    from gogooku_dagster.lib.home import last_installation

    place = last_installation(config, overrides)
    place.settings  # noqa: B018 - refuse a bad configuration before a server starts
    place.prepare()
    environment = {**os.environ, "DAGSTER_HOME": str(place.dagster_home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    dagster = Path(sys.executable).with_name("dagster")
    arguments = [str(dagster), "dev", "-m", "gogooku_dagster.definitions", "-h", host, "-p", str(port)]
    click.echo(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it)", err=True)
    os.execve(dagster, arguments, environment)
