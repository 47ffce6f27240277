"""Progress in the terminal: the stage, the partition, the rate and the time left; epochs as they end."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gogooku_dagster.lib.credentials import SOURCE

if TYPE_CHECKING:
    from gogooku_dagster.lib.reconcile import Step

_PLAIN_EVERY_SECONDS = 5.0


class Terminal:
    """Shows a reconciliation on stderr: a live bar on a terminal, plain lines in a log.

    Args:
        quiet: show nothing (for ``--json``).
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, soft_wrap=True)
        self._live = self._console.is_terminal and not quiet
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[stage]}", style="bold", markup=False),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._title = ""
        self._started = 0.0
        self._last_line = 0.0
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish("" if error is None else "not finished")
        self._bars.stop()

    def step(self, step: "Step", done: int, total: int) -> None:
        """A stage begins; ``done`` of ``total`` stages came before it."""
        title = step.asset + _label(step.partitions)
        self.begin(title, f"{done + 1}/{total} {title}")

    def begin(self, title: str, shown: str = "") -> None:
        """Some work begins; ``shown`` (``title`` by default) stands beside its bar."""
        self._finish()
        self._begin(title, shown or title)

    def progress(self, asset: str, partition: str | None, done: int, total: int, note: str) -> None:
        """A stage, or the source before all stages, has done ``done`` of ``total`` units."""
        if self._task is None and asset == SOURCE:
            self._begin(asset, asset)
            self._last_line -= 2 * _PLAIN_EVERY_SECONDS  # a log, too, says at once how long a fetch will take
        now = time.monotonic()
        if self._first is None:  # what comes before (reading the source, loading libraries) says nothing of the rate
            self._first = (now, done)
        began, before = self._first
        rate = (done - before) / (now - began) if done > before and now > began else 0.0
        if self._task is not None:
            shown = _speed(rate) if rate else ""
            self._bars.update(self._task, completed=done, total=total, description=note, rate=shown)
        if not self._live and now - self._last_line > _PLAIN_EVERY_SECONDS:
            self._last_line = now
            left = f" ({_speed(rate)}, {_duration((total - done) / rate)} left)" if rate else ""
            self._console.print(f"  {self._title}: {done:,} of {total:,} {note}{left}")

    def epoch(self, asset: str, partition: str | None, record: dict[str, float | int | str]) -> None:
        """A training epoch has ended."""
        parts = [f"{name} {_figure(record[key])}" for key, name in _EPOCH_FIGURES.items() if key in record]
        self._last_line = time.monotonic()
        self._console.print(f"  {partition}  " + "  ".join(parts), style="dim")

    def _begin(self, title: str, stage: str) -> None:
        self._title, self._first = title, None
        self._started = self._last_line = time.monotonic()
        self._task = self._bars.add_task("", total=None, stage=stage, rate="")

    def _finish(self, note: str = "") -> None:
        if self._task is None:
            return
        seconds = time.monotonic() - self._started
        self._bars.remove_task(self._task)
        self._task = None
        if not sys.is_finalizing():
            self._console.print(f"{self._title:<58}{seconds:>8.1f} s  {note}".rstrip())


_EPOCH_FIGURES = {
    "member": "member",
    "phase": "phase",
    "epoch": "epoch",
    "loss": "loss",
    "loss_rank_ic": "rank IC loss",
    "loss_pinball": "quantile loss",
    "val_rank_ic": "validation rank IC",
    "lr_last": "lr",
    "seconds": "s",
}
"""The keys of the trainer's epoch record that are shown, and how they are called here."""


def _figure(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _speed(rate: float) -> str:
    """Units a second, or the time of one where that says more."""
    return f"{rate:,.1f}/s" if rate >= 1.0 else f"{_duration(1.0 / rate)} each"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} min"


def _label(partitions: tuple[str | None, ...]) -> str:
    if partitions[0] is None:
        return ""
    return (
        f" [{partitions[0]}]" if len(partitions) == 1 else f" [{partitions[0]} … {partitions[-1]}, {len(partitions)}]"
    )
