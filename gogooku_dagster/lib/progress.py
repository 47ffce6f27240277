"""Progress of long stages: to whoever listens in this process, or now and then to Dagster's log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from model.store.stage import Progress

if TYPE_CHECKING:
    import dagster as dg

_LOG_EVERY_SECONDS = 10.0


class Listener(Protocol):
    """Someone who shows progress while a run goes on in the same process (the terminal)."""

    def progress(self, asset: str, partition: str | None, done: int, total: int, note: str) -> None:
        """A stage has done ``done`` of ``total`` units."""

    def epoch(self, asset: str, partition: str | None, record: dict[str, float | int | str]) -> None:
        """A training epoch has ended."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the progress of runs inside the block to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Listener | None:
    """Who listens in this process, if anybody."""
    return _listener.get()


def progress_of(context: "dg.AssetExecutionContext", asset: str, partition: str | None) -> Progress:
    """A progress function for one stage of a run."""
    heard = _listener.get()
    if heard is not None:

        def show(done: int, total: int, note: str = "") -> None:
            heard.progress(asset, partition, done, total, note)

        return show

    last = time.monotonic()

    def log(done: int, total: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last > _LOG_EVERY_SECONDS:
            last = time.monotonic()
            context.log.info(f"{asset}: {done:,} of {total:,} {note}".rstrip())

    return log
