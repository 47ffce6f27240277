"""Bring month chunks up to date: computed whole where there are none, patched where cells can differ.

Neighbouring months are computed together, at most so many at a time, which bounds the memory. Tables that are computed
by the same engine share one computation where they are whole anyway, or where all need the same few days, as after an
appended day. A chunk in which nothing differs in the end is taken over by a hard link.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import chain

import numpy as np
import polars as pl

from model.quality_features.bands_jobs import Job
from model.quality_features.bands_month import MonthFiles, Table, between
from model.quality_features.read import HEAD
from model.store.day_digests import DayDigests
from model.store.frames import day_edges, distinct_days
from model.store.stage import StageRun

_FEW_CODES = 64
"""Codes of which a job is computed in one go however long its stretch of days; their rows are few."""
_FEW_DAYS = 5
"""Calendar days of which a job that several tables share is computed in one go, whatever its codes."""
_MARKET_DAYS = 600
"""Calendar days of which a table of one row a day is computed in one go."""
_Span = tuple[date, date]


@dataclass(frozen=True)
class Family:
    """Tables that one engine computes."""

    tables: tuple[Table, ...]
    compute: Callable[[Job], pl.DataFrame]
    """Date, Code, InUniverse and the columns of a job, sorted."""
    months_per_block: int


@dataclass
class Done:
    """What was computed and written of one table."""

    months: set[str] = field(default_factory=set)
    whole_months: int = 0
    chunks: int = 0
    days: set[date] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    cells: int = 0

    def count(self, table: Table, names: Collection[str], rows: int, days: set[date], codes: set[str]) -> None:
        """Take note of a computation of some columns, so many rows on these days for these codes."""
        by_code = "Code" in table.key
        self.cells += (rows if by_code else len(days)) * sum(name in names for name in table.names)
        self.days |= days
        self.codes |= codes if by_code else set()

    def figures(self) -> dict[str, int]:
        """Plain numbers for the manifest."""
        return {
            "months": len(self.months),
            "months_whole": self.whole_months,
            "chunks": self.chunks,
            "days": len(self.days),
            "codes": len(self.codes),
            "cells": self.cells,
        }


@dataclass(frozen=True)
class Update:
    """One run over the tables of a family."""

    run: StageRun
    family: Family
    files: MonthFiles
    done: dict[str, Done] = field(default_factory=dict)
    whole_seconds: dict[str, float] = field(default_factory=lambda: {"compute": 0.0, "write": 0.0})
    """What computing months whole took, and writing them; one block is written while the next is computed."""

    def bring(self) -> float:
        """Write or take over every chunk of every table; returns the seconds it took."""
        began = time.perf_counter()
        stale = {table.name: self._stale(table) for table in self.family.tables}
        self.done.update({name: Done(whole_months=len(months)) for name, months in stale.items()})
        self._whole(stale)
        tables = self.family.tables
        planned = {table.name: self._jobs(table, stale[table.name]) for table in tables}
        together = self._together([planned[table.name] for table in tables if table.compute is None])
        patches: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=self.run.settings.runtime.threads) as pool:
            for table in sorted(tables, key=lambda each: (not each.inner, each.compute is not None)):
                needed = [] if table.compute is None else [patches[each.name] for each in tables if each.inner]
                work = self._patch, table, stale[table.name], planned[table.name], together
                patches[table.name] = pool.submit(_after, needed, *work)
            for finished, (name, patch) in enumerate(patches.items(), start=1):
                patch.result()
                self.run.progress(finished, len(tables), f"{name} up to date")
        return time.perf_counter() - began

    @property
    def makes_months_whole(self) -> bool:
        """Whether any chunk must be computed whole, which takes much memory."""
        return any(self._stale(table) for table in self.family.tables)

    def _stale(self, table: Table) -> set[str]:
        """Months that must be computed whole: never computed, or by other code or settings."""
        return {month for month in self._months if self.files.made_by(table, month) != table.made_by}

    def _whole(self, stale: Mapping[str, set[str]]) -> None:
        kinds = {month: tuple(t for t in self.family.tables if month in stale[t.name]) for month in self._months}
        due = {month: tables for month, tables in kinds.items() if tables}
        finished = 0
        with ThreadPoolExecutor(max_workers=1) as pool:
            written: Future[None] | None = None
            for group in self._groups(due):
                self.run.progress(finished, len(due), f"{due[group[0]][0].name} {group[0]} to {group[-1]}")
                tables = due[group[0]]
                names = tuple(name for table in tables for name in table.names)
                began = time.perf_counter()
                frame = self.family.compute(Job(*self._days(group), names, None))
                self.whole_seconds["compute"] += time.perf_counter() - began
                if written is not None:
                    written.result()
                written = pool.submit(self._write_whole, tables, group, frame)
                del frame  # memory holds one block that is written and one that is computed
                finished += len(group)
            if written is not None:
                written.result()

    def _write_whole(self, tables: Sequence[Table], group: Sequence[str], frame: pl.DataFrame) -> None:
        began = time.perf_counter()
        self._count(tables, [frame])
        head = frame.select(HEAD)  # which all tables share
        heads = {month: DayDigests.of(between(head, *self._days([month]))) for month in group}
        for table in tables:
            self._write(table, group, partial(self._write_month, table, table.pick(frame), heads))
        self.whole_seconds["write"] += time.perf_counter() - began

    def _write_month(self, table: Table, rows: pl.DataFrame, heads: Mapping[str, DayDigests], month: str) -> bool:
        self.files.whole(table, month, between(rows, *self._days([month])), heads[month])
        return True

    def _jobs(self, table: Table, whole: set[str]) -> Sequence[Job]:
        """What must be computed of a table in the months that are not made whole."""
        computed = np.array([month in whole for month, days in self._months.items() for _ in days], np.bool_)
        return () if computed.all() else table.jobs(computed)

    def _together(self, planned: Iterable[Sequence[Job]]) -> dict[_Span, pl.DataFrame]:
        """What several tables need of the same few days for all codes: read and laid out once."""
        wanted: dict[_Span, list[tuple[str, ...]]] = {}
        for job in (job for jobs in planned for job in jobs):
            if job.codes is None and (job.last - job.first).days < _FEW_DAYS:
                wanted.setdefault((job.first, job.last), []).append(job.names)
        return {
            (first, last): self.family.compute(Job(first, last, tuple(dict.fromkeys(chain(*names))), None))
            for (first, last), names in wanted.items()
            if len(names) > 1
        }

    def _patch(
        self, table: Table, whole: set[str], jobs: Sequence[Job], together: Mapping[_Span, pl.DataFrame]
    ) -> None:
        compute = table.compute or self.family.compute
        kept = [month for month in self._months if month not in whole]
        touched = [
            m for m in kept if m in self.files.chunks.changed or any(job.within(*self._days([m])) for job in jobs)
        ]
        for month in kept:
            if month not in touched:
                self.files.take_over(table, month)
        shared = [job for job in jobs if table.compute is None and job.codes is None and _span(job) in together]
        small = [job for job in jobs if job not in shared and _is_small(table, job)]
        large = [job for job in jobs if job not in small and job not in shared]
        frames = [together[_span(job)] for job in shared] + [compute(job) for job in small]
        self._count([table], frames)
        for group in self._groups(dict.fromkeys(touched)):
            due = [part for job in large if (part := job.within(*self._days(group))) is not None]
            of_group = [compute(job) for job in due]
            self._count([table], of_group)
            parts = [table.pick(frame) for frame in (*frames, *of_group)]
            self._write(table, group, partial(self._patch_month, table, parts))

    def _patch_month(self, table: Table, parts: Sequence[pl.DataFrame], month: str) -> bool:
        of_month = [between(part, *self._days([month])) for part in parts]
        return self.files.patched(table, month, [part for part in of_month if part.height])

    def _count(self, tables: Sequence[Table], frames: Sequence[pl.DataFrame]) -> None:
        for frame in frames:
            edges = day_edges(frame)[1]
            days = set(frame["Date"].gather(edges[:-1]).to_list())
            listed = pl.concat([frame["Code"].clear(), *distinct_days(frame["Code"], edges)[0]])
            codes = set(listed.unique().to_list())
            for table in tables:
                self.done[table.name].count(table, frame.columns, frame.height, days, codes)

    def _write(self, table: Table, group: Sequence[str], write: Callable[[str], bool]) -> None:
        """Write the chunks of some months, side by side; ``write`` says whether a month's is another file now."""
        done = self.done[table.name]
        with ThreadPoolExecutor(max_workers=self.run.settings.runtime.threads) as pool:
            done.chunks += sum(pool.map(write, group))
        done.months.update(group)

    @property
    def _months(self) -> Mapping[str, tuple[date, ...]]:
        return self.files.chunks.months

    def _days(self, group: Sequence[str]) -> tuple[date, date]:
        return self._months[group[0]][0], self._months[group[-1]][-1]

    def _groups(self, wanted: Mapping[str, object]) -> Iterator[list[str]]:
        """Neighbouring months of equal kind, at most ``months_per_block`` at a time, in order."""
        group: list[str] = []
        for month in self._months:
            if group and (month not in wanted or wanted[month] != wanted[group[-1]]):
                yield group
                group = []
            if month in wanted:
                group.append(month)
            if len(group) == self.family.months_per_block:
                yield group
                group = []
        if group:
            yield group


def _after(needed: Sequence[Future[None]], work: Callable[..., None], *arguments: object) -> None:
    """Work that begins when other work has ended; what is needed was handed to the same threads before."""
    for each in needed:
        each.result()
    work(*arguments)


def _span(job: Job) -> _Span:
    return job.first, job.last


def _is_small(table: Table, job: Job) -> bool:
    """Whether what a job gives is little however many months it reaches, so that it is computed in one go."""
    if job.codes is not None:
        return len(job.codes) <= _FEW_CODES
    return "Code" not in table.key and (job.last - job.first).days <= _MARKET_DAYS
