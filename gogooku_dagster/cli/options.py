"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def configuration(function: F) -> F:
    """``--config`` and ``--set``."""
    function = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override one setting, such as training.days_per_batch=8. May be repeated.",
    )(function)
    return click.option(
        "--config",
        metavar="PRESET",
        help="A preset: its name (demo, us_equities, ...) or a YAML file.",
    )(function)


def as_json(function: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json_", is_flag=True, help="Print one JSON document and nothing else.")(function)
