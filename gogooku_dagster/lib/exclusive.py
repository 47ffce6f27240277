"""One command at a time computes in a storage root, and cleans up after one that was killed.

A killed process leaves three things behind: half-written staging folders, a Dagster run that seems to go on, and the
pool slot of its step, for which the next run would wait for ever. While the lock is held nobody else computes here from
the command line, so whatever such a run left is known to be dead.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from gogooku_dagster.lib.home import Installation
from model.errors import GogookuError

TAG = "gogooku/launcher"
COMMAND_LINE = "command_line"
_ALIVE = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class BusyError(GogookuError):
    """Another command is computing in the same storage root, or serving it."""


@contextmanager
def exclusive(installation: Installation) -> Iterator[None]:
    """Hold the storage root for computing.

    Raises:
        BusyError: another command holds it; the message names its process.
    """
    installation.home.mkdir(parents=True, exist_ok=True)
    path = installation.home / "run.lock"
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise BusyError(
                f"Another gogooku command (process {stream.read().strip() or 'unknown'}) is computing in "
                f"{installation.home}. Wait until it has ended, or set GOGOOKU_HOME to another folder."
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def serve_alone(installation: Installation, address: str) -> int:
    """Hold the storage root for one web server and daemon, as long as this process or what it executes lives.

    Dagster supports one daemon for an instance: two would launch runs twice, and more of them at once than allowed.

    Returns:
        The file that holds it.

    Raises:
        BusyError: another one serves it; the message names its address.
    """
    installation.home.mkdir(parents=True, exist_ok=True)
    file = os.open(installation.home / "ui.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        served = os.read(file, 200).decode(errors="replace").strip() or "an address that is not known"
        os.close(file)
        raise BusyError(
            f"Another `gogooku ui` serves {installation.home}, on {served}. Use its pages, stop it first, or set "
            "GOGOOKU_HOME to another folder: a second one would launch runs twice."
        ) from error
    os.ftruncate(file, 0)
    os.write(file, f"{address} (process {os.getpid()})".encode())
    os.set_inheritable(file, True)
    return file


@contextmanager
def without_another_try(context: dg.AssetExecutionContext) -> Iterator[None]:
    """An interrupt ends a command: where an asset has a retry policy, Dagster takes it for a reason to try again.

    Raises:
        dagster.Failure: the step of a command was interrupted; its cause is the interrupt.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        if context.run.tags.get(TAG) != COMMAND_LINE:
            raise
        raise dg.Failure("Interrupted. What was finished is kept.", allow_retries=False) from interrupt


def clean_up_after_the_killed(installation: Installation, instance: dg.DagsterInstance) -> None:
    """End the runs of killed commands, give back pool slots that nobody uses, and remove staging folders."""
    for run in instance.get_runs(dg.RunsFilter(statuses=_ALIVE, tags={TAG: COMMAND_LINE})):
        instance.report_run_failed(run, "The command that ran it was killed.")
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    installation.store.remove_staging()
