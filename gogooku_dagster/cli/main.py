"""Entry point: one command a module; errors that people can mend become one paragraph on stderr."""

import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence

import click

from model.errors import GogookuError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="gogooku")
def gogooku() -> None:
    """Cross-sectional equity return prediction, as a Dagster asset graph.

    Everything is kept under $GOGOOKU_HOME (default: .gogooku in the working directory). The configuration is that
    of --config, else of $GOGOOKU_CONFIG; else `run` takes the demo preset, and the other commands what ran last.
    """


@gogooku.result_callback()
def _done(status: int | None) -> int:
    return status or 0


def paragraph(text: str) -> str:
    """Lines of readable width; paths and commands stay whole, so that they can be copied."""
    return textwrap.fill(" ".join(text.split()), width=110, break_long_words=False, break_on_hyphens=False)


def _add_commands() -> None:
    from gogooku_dagster.cli import ablate, diagnose, evaluate, refresh, report, run, simulate, status, ui

    for module in (run, status, refresh, report, diagnose, evaluate, ablate, ui, simulate):
        gogooku.add_command(module.command)


def _quieten_libraries() -> None:
    """No notices of libraries between the lines for people; their errors and warnings of what is wrong stay."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read when mlflow is first imported
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"dagster(\.|$)")
    warnings.filterwarnings("ignore", message=r".*is currently in (beta|preview)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with 0 only on success."""
    _quieten_libraries()
    try:
        _add_commands()
        sys.exit(gogooku.main(args=arguments, prog_name="gogooku", standalone_mode=False))
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):  # the latter while the commands are loaded
        click.echo("Interrupted. What was finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GogookuError as error:
        click.echo(paragraph(f"Error: {error}"), err=True)
        sys.exit(1)
    except Exception as error:
        from gogooku_dagster.cli import failures

        said = failures.explained(error)
        if said is None:
            raise
        click.echo(paragraph(f"Error: {said}"), err=True)
        sys.exit(1)
