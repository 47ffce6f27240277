"""Entry point: one command a module; errors that people can mend become one paragraph on stderr."""

import sys
from collections.abc import Sequence

import click

from model.errors import GogookuError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="gogooku")
def gogooku() -> None:
    """Cross-sectional equity return prediction, as a Dagster asset graph.

    The storage root is $GOGOOKU_HOME (default .gogooku), the configuration $GOGOOKU_CONFIG (default demo).
    """


@gogooku.result_callback()
def _done(status: int | None) -> int:
    return status or 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with 0 only on success."""
    from gogooku_dagster.cli import refresh, report, run, status, ui

    for module in (run, status, refresh, report, ui):
        gogooku.add_command(module.command)
    try:
        sys.exit(gogooku.main(args=arguments, prog_name="gogooku", standalone_mode=False))
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        click.echo("Interrupted. What was finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GogookuError as error:
        click.echo(click.wrap_text(f"Error: {error}", width=110), err=True)
        sys.exit(1)
