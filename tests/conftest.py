"""The tiny market as the installed command computes it: once a test session, also where processes share the work."""

import gc
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from tests.gogooku_dagster.cli.bars import TINY_BARS, Result, installed

# How long an example takes says how busy the machine is: the first one of a test also loads what it imports.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

FIRST = (
    "tests/e2e/test_browser.py",
    "tests/gogooku_dagster/test_automation.py",
    "tests/pipeline/test_recompute.py",
    "tests/gogooku_dagster/cli/test_commands.py",
    "tests/e2e/test_killed.py",
    "tests/e2e/test_terminated.py",
    "tests/pipeline/test_no_look_ahead.py",
    "tests/pipeline/test_combinatorial.py",
)
"""Long files, which start first. The first three compute what others share: were two processes to need the same, one
would wait for the other. None is left for the end, when a process that is done has nobody to share with."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files in the order of ``FIRST``, the others after them in their own."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(FIRST)))


def pytest_collection_finish() -> None:
    """Sweeps of the heap, of which every run makes some, need not walk through all that was loaded for the tests."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Computed:
    """A storage root on which the whole graph has been computed, by two commands one after the other."""

    home: Path
    first: Result
    """What ``run --until atft_tensors`` printed."""
    rest: Result
    """What ``run`` printed after it."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage root with everything that a training reads; tests work on copies of it."""
    folder = shared_folder(tmp_path_factory, "prepared")
    with FileLock(f"{folder}.lock"):
        _once(folder, "--until", "atft_tensors")
        if not (folder / "mlflow").exists():
            from mlflow.tracking import MlflowClient

            (folder / "mlflow").mkdir()
            MlflowClient(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}").search_experiments()
    return folder / "home"


def copy_of(prepared: Path, home: Path) -> Path:
    """A copy of that storage root for trainings; its tracking store is made already, which takes seconds.

    That a training makes the store where there is none is seen in ``pipeline``.
    """
    shutil.copytree(prepared, home)
    shutil.copytree(prepared.parent / "mlflow", home / "mlflow")
    return home


@pytest.fixture(scope="session")
def pipeline(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """The rest of the graph on top of it, in a copy of this process: commands and servers may lock it and write logs.

    The tests that share it leave its artefacts as they are.
    """
    folder = shared_folder(tmp_path_factory, "pipeline")
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            shutil.copytree(prepared, folder / "home")
        _once(folder)
    home = Path(shutil.copytree(folder / "home", tmp_path_factory.mktemp("pipeline") / "home"))
    return Computed(home, _printed(prepared.parent, home), _printed(folder, home))


def _once(folder: Path, *arguments: str) -> None:
    """Run the command in ``<folder>/home`` unless that was done, and keep beside it what it printed."""
    if (folder / "err.txt").exists():
        return
    folder.mkdir(exist_ok=True)
    done = installed(folder / "home", "run", "--config", str(TINY_BARS), *arguments)
    assert done.status == 0, done.err[-4000:]
    (folder / "out.txt").write_text(done.out, encoding="utf-8")
    (folder / "err.txt").write_text(done.err, encoding="utf-8")


def _printed(folder: Path, home: Path) -> Result:
    """What was printed, with paths as they are in the copy at ``home``."""
    out, err = (
        (folder / name).read_text(encoding="utf-8").replace(str(folder / "home"), str(home))
        for name in ("out.txt", "err.txt")
    )
    return Result(0, out, err)


def shared_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of that name which all processes of a test session see; who fills it holds a lock."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
