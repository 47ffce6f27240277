"""Stage ``daily_quotes``: what the source said, one artefact a trading day.

A thousand days are one read of the source and a thousand small publishing steps; each day is there wholly or not
at all.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from model.daily_quotes.beside import TABLES
from model.daily_quotes.cross_section import require_names
from model.daily_quotes.schema import ASSET, KEY, QUOTES, RECEIVED
from model.daily_quotes.sources.access import Access
from model.daily_quotes.sources.base import Day, DayBatch, Source, validate_batch
from model.daily_quotes.sources.source import open_source
from model.errors import SourceError
from model.store.manifest import Identity, Manifest
from model.store.stage import Progress, StageRun, silent
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_WRITERS = 4
"""Days written at the same time: publishing waits for the disk, not for the processor."""


def materialise(run: StageRun) -> Manifest:
    """Publish one day (``run.partition``, such as ``2016-01-04``)."""
    if run.partition is None:
        raise SourceError("daily_quotes is partitioned by trading day: name the day, such as 2016-01-04.")
    identities = {date.fromisoformat(run.partition): run.identity}
    [(_, manifest)] = ingest(run.store, run.settings, identities, run.progress)
    return manifest


def ingest(
    store: Store,
    settings: "Settings",
    identities: Mapping[date, Identity],
    progress: Progress = silent,
    *,
    source: Source | None = None,
    publishing: Callable[[date], AbstractContextManager[None]] = lambda day: nullcontext(),
) -> Iterator[tuple[date, Manifest]]:
    """Publish many days with one read of the source.

    Args:
        identities: the days to publish, each with what its artefact is made from.
        source: an open source; opened from the settings by default.
        publishing: entered while a day is published, in one of several threads; days are ahead of those yielded.

    Yields:
        Each day with its manifest, in order, when it is on the disk.

    Raises:
        SourceError: the source is not usable, or has no rows on one of the days.
        DataError: a first load of too few names.
    """
    if not identities:
        return
    batch = validate_batch((source or open_source(settings, access=Access(home=store.home))).read(sorted(identities)))
    _refuse_empty_days(batch)
    if not set(store.partitions(ASSET)) - {day.isoformat() for day in batch.days}:
        # A first load says early what raw_dataset would. A later batch may be thin days, judged there among all days.
        require_names(_names(batch), batch.quotes["Code"].n_unique(), settings.quality.min_names)
    done = 0
    with ThreadPoolExecutor(max_workers=_WRITERS) as pool:
        waiting: deque[tuple[date, Future[Manifest]]] = deque()
        for day in batch.split():
            work = pool.submit(_publish, store, day, identities[day.day], batch.received_key, publishing)
            waiting.append((day.day, work))
            while len(waiting) > 2 * _WRITERS or (waiting and waiting[0][1].done()):
                done += 1
                yield _next(waiting, done, len(identities), progress)
        while waiting:
            done += 1
            yield _next(waiting, done, len(identities), progress)


def _next(
    waiting: deque[tuple[date, Future[Manifest]]], done: int, total: int, progress: Progress
) -> tuple[date, Manifest]:
    day, work = waiting.popleft()
    manifest = work.result()
    progress(done, total, day.isoformat())
    return day, manifest


def _publish(
    store: Store,
    day: Day,
    identity: Identity,
    received_key: tuple[str, ...],
    publishing: Callable[[date], AbstractContextManager[None]],
) -> Manifest:
    with publishing(day.day), store.writer(ASSET, day.day.isoformat(), identity) as writer:
        writer.table(QUOTES, day.quotes, key=KEY)
        if day.received is not None:
            writer.table(RECEIVED, day.received, key=received_key)
        for name, rows in day.beside.items():
            writer.table(TABLES[name].file, rows, key=TABLES[name].key)
        writer.extra["names"] = day.quotes.height
    return writer.manifest


def _names(batch: DayBatch) -> pl.Series:
    """Names with a close on each day; where no day has any price, names that are listed: the exchange stood still."""
    names = batch.quotes.group_by("Date").agg(priced=pl.col("Close").count(), listed=pl.len())
    return names["priced"] if names["priced"].sum() else names["listed"]


def _refuse_empty_days(batch: DayBatch) -> None:
    there = set(batch.quotes["Date"].unique().to_list())
    empty = [day for day in batch.days if day not in there]
    if empty:
        raise SourceError(
            f"The source has no rows on {len(empty)} of the {len(batch.days)} days asked for, the first being "
            f"{empty[0]}. It may have changed since it was last looked up: run `gogooku status` to see its days now."
        )
