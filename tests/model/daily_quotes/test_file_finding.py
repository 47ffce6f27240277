"""Which files a path means: nothing that may hold data is passed over without a word."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model.daily_quotes.sources.files import FilesOfBars
from tests.model.daily_quotes.test_files_source import CODES, bars, message, source, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with bars of two codes in one file and of the other three in a folder elsewhere."""
    for name, codes in (("bars/a.csv", CODES[:2]), ("elsewhere/b.csv", CODES[2:])):
        (tmp_path / name).parent.mkdir()
        write(tmp_path / name, bars(codes=codes))
    return tmp_path / "bars"


def rows(files: FilesOfBars) -> pl.DataFrame:
    return files.read(list(files.index().days)).quotes


def forbid(monkeypatch: pytest.MonkeyPatch, method: str, path: Path) -> None:
    """Tests may run as root, whom no mode of a file keeps out."""
    allowed = getattr(Path, method)

    def refused(self: Path, *args: Any, **keys: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return allowed(self, *args, **keys)

    monkeypatch.setattr(Path, method, refused)


@pytest.mark.parametrize("pattern", ["", "**/*.csv", "**/?.csv"])
def test_linked_folders_are_read_and_links_that_lead_back_are_not_followed(folder: Path, pattern: str) -> None:
    (folder / "more").symlink_to(folder.parent / "elsewhere", target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder.parent / "elsewhere" / "back").symlink_to(folder, target_is_directory=True)
    assert rows(source(folder / pattern))["Code"].unique().sort().to_list() == CODES


def test_what_two_links_lead_to_is_read_once_unless_they_give_it_different_columns(folder: Path) -> None:
    (folder / "b.csv").symlink_to(folder.parent / "elsewhere" / "b.csv")
    (folder / "more").symlink_to(folder.parent / "elsewhere", target_is_directory=True)
    assert rows(source(folder)).height == 25
    one = write(folder.parent / "one.csv", bars(codes=["x"]).drop("Code"))
    for code in ("A", "B"):
        (folder.parent / "by_code" / f"Code={code}").mkdir(parents=True)
        (folder.parent / "by_code" / f"Code={code}" / "one.csv").symlink_to(one)
    assert rows(source(folder.parent / "by_code"))["Code"].unique().sort().to_list() == ["A", "B"]


@pytest.mark.parametrize("name", ["b.csv", "2023"])
@pytest.mark.parametrize("pattern", ["", "*", "**/*.csv", "[2b]*"])
def test_a_link_to_what_is_not_there_is_refused_by_name(folder: Path, name: str, pattern: str) -> None:
    (folder / name).symlink_to(folder.parent / "gone")
    shown = message(source(folder / pattern))
    assert str(folder / name) in shown and str(folder.parent / "gone") in shown and "remove the link" in shown


def test_links_that_tools_left_behind_are_no_data(folder: Path) -> None:
    (folder / ".#a.csv").symlink_to("user@host.123")  # an editor's lock
    assert rows(source(folder)).height == 10


@pytest.mark.parametrize("pattern", ["", "*/*.csv", "**/*.csv"])
def test_a_folder_that_may_not_be_looked_into_is_refused_by_name(
    folder: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "closed").mkdir()
    forbid(monkeypatch, "iterdir", folder / "closed")
    shown = message(source(folder / pattern))
    assert f"{folder / 'closed'} of source.path cannot be looked at: Permission denied" in shown
    shown = message(source(folder / "closed"))
    assert "cannot be looked at" in shown and "holds no Parquet" not in shown


def test_a_file_below_a_folder_that_may_not_be_entered_is_refused_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, "is_dir", folder / "a.csv")
    assert f"{folder / 'a.csv'} of source.path cannot be looked at" in message(source(folder / "a.csv"))


@pytest.mark.parametrize("name", ["", "a.csv", "*.csv"])
def test_a_file_that_may_not_be_read_is_refused_by_name(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "c.csv", bars(codes=["C"]))
    forbid(monkeypatch, "open", folder / "a.csv")
    shown = message(source(folder / name))
    assert f"{folder / 'a.csv'} cannot be opened: Permission denied (1 of {1 if name == 'a.csv' else 2} files" in shown


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_modes_of_files_and_folders_are_heeded(folder: Path) -> None:
    (folder / "a.csv").chmod(0)
    assert "cannot be opened" in message(source(folder))
    (folder / "closed").mkdir(mode=0)
    assert "cannot be looked at" in message(source(folder))


def test_a_home_folder_that_nobody_has_is_refused(tmp_path: Path) -> None:
    shown = message(source(Path("~no.such.user/bars.csv")))
    assert "home folder of source.path=~no.such.user/bars.csv is not known" in shown
    write(tmp_path / "bars.csv", bars())
    shown = message(source(tmp_path / "bars.csv", tables={"margin": "~no.such.user/margin.csv"}))
    assert "home folder of source.tables.margin=" in shown


def test_two_stars_within_a_name_mean_what_one_means(tmp_path: Path) -> None:
    (tmp_path / "my bars").mkdir()
    write(tmp_path / "my bars" / "a.csv", bars())
    assert rows(source(tmp_path / "**bars" / "*.csv")).height == 25


@pytest.mark.parametrize("pattern", ["*.csv", "bars.csv", "**/*.csv", "bar[s].csv"])
def test_a_folder_whose_name_has_brackets_is_found(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a [1]").mkdir()
    write(tmp_path / "a [1]" / "bars.csv", bars())
    assert rows(source(tmp_path / "a [1]" / pattern)).height == 25
    assert rows(source(tmp_path / "*" / pattern)).height == 25
