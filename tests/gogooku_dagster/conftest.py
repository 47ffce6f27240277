"""The tiny pipeline, built once a test session through Dagster, and copies of it to work on."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gogooku_dagster.support import Place, copied, kept_environment, new_place


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with every asset materialised. Nobody changes it; the workers of a parallel session share it."""
    own = tmp_path_factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    home, done = base / "gogooku-built", base / "gogooku-built.done"
    with (base / "gogooku-built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            with kept_environment():
                place = new_place(home)
                place.bring_up_to_date()
                place.close()
            done.touch()
    return home


def _copy(built: Path, folder: Path) -> Iterator[Place]:
    with kept_environment():
        place = copied(built, folder / "home")
        yield place
        place.close()


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Iterator[Place]:
    """A copy of the built home, for one test to change."""
    yield from _copy(built, tmp_path)


@pytest.fixture(scope="module")
def unchanged(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A copy of the built home that the tests of a module only read."""
    yield from _copy(built, tmp_path_factory.mktemp("unchanged"))
