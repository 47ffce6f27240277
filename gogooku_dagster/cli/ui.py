"""``gogooku ui``: Dagster's web server and daemon on this installation."""

import os
import socket
import sys
from pathlib import Path

import click
import yaml

from gogooku_dagster.cli import options
from model.errors import GogookuError
from model.store import atomic

WHOLE_GRAPH = "/assets/portfolio_report?view=lineage&lineageScope=upstream&lineageDepth=10"
WORKSPACE = {
    "load_from": [{"python_module": {"module_name": "gogooku_dagster.definitions", "location_name": "gogooku"}}]
}


class AddressError(GogookuError):
    """An address at which no server can listen."""


@click.command("ui")
@options.configuration
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    metavar="NUMBER",
    help="Port to listen on.",
)
def command(config: str | None, overrides: tuple[str, ...], host: str, port: int) -> int:
    """Serve the Dagster UI, schedules and sensors until Ctrl-C."""
    from gogooku_dagster.lib.exclusive import exclusive, serve_alone
    from gogooku_dagster.lib.home import last_installation

    place = last_installation(config, overrides)
    place.settings  # noqa: B018 - refuse a bad configuration before a server starts
    require_free(host, port)
    serve_alone(place, f"http://{host}:{port}")
    if place.changes_the_record:
        with exclusive(place):  # a command that computes reads the record at each step
            place.prepare()
    else:
        place.prepare()
    environment = {**os.environ, "DAGSTER_HOME": str(place.dagster_home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    dagster = Path(sys.executable).with_name("dagster")
    # The location's name must be the project's, or Dagster looks state up under another one (and warns at each load).
    workspace = place.dagster_home / "workspace.yaml"
    atomic.write_bytes(workspace, yaml.safe_dump(WORKSPACE).encode())
    arguments = [str(dagster), "dev", "-w", str(workspace), "-h", host, "-p", str(port)]
    click.echo(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it)", err=True)
    click.echo(f"Whole graph: http://{host}:{port}{WHOLE_GRAPH}", err=True)
    os.execve(dagster, arguments, environment)


def require_free(host: str, port: int) -> None:
    """Refuse an address at which nothing can listen; the web server would say so under a page of its own output.

    Raises:
        AddressError: the name has no address, the port is taken, or it may not be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        other = port + 1 if 1024 <= port < 65535 else 3000
        raise AddressError(
            f"Nothing can listen on port {port} of {host} ({error.strerror or error}). If another server is there "
            f"(another `gogooku ui`?), stop it or take another port: `gogooku ui --port {other}`."
        ) from error
