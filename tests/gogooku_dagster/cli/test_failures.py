"""What only a person can mend outside the program is said in a paragraph; a bug keeps its traceback."""

import errno
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import exc

from gogooku_dagster.cli import failures
from gogooku_dagster.cli.ui import require_free
from gogooku_dagster.lib.event_log import open_instance
from gogooku_dagster.lib.exclusive import BusyError, serve_alone
from gogooku_dagster.lib.home import Installation
from model.errors import SettingsError
from model.settings import presets
from tests.gogooku_dagster.cli.bars import TINY_BARS, Result
from tests.gogooku_dagster.cli.conftest import Command
from tests.gogooku_dagster.cli.inside import inside

NO_FOLDER = Path("/proc/gogooku")
"""Nobody, not even root, can make a folder there."""
linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that refuses folders")


def refused(result: Result, *said: str) -> None:
    assert result.status == 1 and "Traceback" not in result.err, result.err
    assert result.paragraph.startswith("Error: ")
    for each in said:
        assert each in result.paragraph, (each, result.paragraph)


def test_an_interrupt_while_the_commands_are_loaded_is_a_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gogooku_dagster.cli.main._add_commands", interrupted)
    result = inside(tmp_path / "home", "status")
    assert (result.status, result.out) == (130, "")
    assert result.err.startswith("Interrupted. ")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR])
def test_a_disk_that_cannot_be_written_is_said_with_file_and_remedy(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOGOOKU_HOME", str(tmp_path))
    text = failures.explained(OSError(number, os.strerror(number), str(tmp_path / "run.lock")))
    assert text is not None and f"Cannot write to {tmp_path / 'run.lock'}" in text and "GOGOOKU_HOME" in text
    elsewhere = failures.explained(OSError(number, os.strerror(number), "/out/bars.csv"))
    assert elsewhere is not None and "/out/bars.csv" in elsewhere and "GOGOOKU_HOME" not in elsewhere


def test_a_full_disk_is_said_where_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOGOOKU_HOME", str(tmp_path))
    text = failures.explained(OSError(errno.ENOSPC, "No space left on device"))
    assert text is not None and str(tmp_path) in text and "Free some space" in text


@pytest.mark.parametrize(
    "bug",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/gone"),
        OSError("without a number"),
        PermissionError(errno.EACCES, "denied"),
        ValueError("x"),
        exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("twice")),
        exc.ProgrammingError("SELEC", {}, sqlite3.ProgrammingError("syntax")),
    ],
)
def test_what_may_be_a_bug_is_not_explained_away(bug: Exception) -> None:
    assert failures.explained(bug) is None


@pytest.mark.parametrize("command", ["run", "status", "refresh"])
def test_a_home_that_is_a_file_is_refused(
    gogooku: Command, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file", encoding="utf-8")
    for home in (tmp_path / "home", tmp_path / "home" / "below"):
        monkeypatch.setenv("GOGOOKU_HOME", str(home))
        refused(gogooku(command, "--config", str(TINY_BARS)), str(tmp_path / "home"), "a file stands where a folder")


@linux
def test_a_home_that_cannot_be_made_is_refused(gogooku: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for home in (NO_FOLDER, NO_FOLDER / "below"):
        monkeypatch.setenv("GOGOOKU_HOME", str(home))
        refused(gogooku("run", "--config", str(TINY_BARS)), f"Cannot make the folder {home}", "GOGOOKU_HOME")


@linux
def test_a_folder_for_the_simulated_market_that_cannot_be_made_is_refused(gogooku: Command) -> None:
    refused(gogooku("simulate", "--out", str(NO_FOLDER)), f"Cannot make the folder {NO_FOLDER}", "--out")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1"),
        ("- 1\n", "a list"),
        ("telemetri: {enabled: false}\n", 'unexpected config entry "telemetri"'),
        ("telemetry: {enabled: 3}\n", "root:telemetry:enabled"),
    ],
)
def test_a_broken_configuration_of_dagster_is_refused_by_file_and_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        open_instance(tmp_path)
    said = str(caught.value)
    assert str(tmp_path / "dagster.yaml") in said and says in said and "remove the file" in said and len(said) < 500


@pytest.mark.parametrize("name", ["history/runs.db", "schedules/schedules.db"])
def test_a_damaged_database_of_runs_is_explained(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Installation(tmp_path, presets.locate(TINY_BARS))
    monkeypatch.setenv("GOGOOKU_CONFIG", "")
    monkeypatch.setenv("GOGOOKU_HOME", str(tmp_path))
    place.prepare()
    (place.dagster_home / name).parent.mkdir(parents=True)
    (place.dagster_home / name).write_bytes(b"not a database" * 100)
    with pytest.raises(exc.DatabaseError) as caught:
        open_instance(place.dagster_home)
    text = failures.explained(caught.value)
    assert text is not None and f"move the folder {place.dagster_home} away" in text


def test_a_port_that_is_taken_is_refused_before_a_server_starts(gogooku: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = gogooku("ui", "--config", str(TINY_BARS), "--port", str(port))
        refused(given, f"port {port} of 127.0.0.1", f"--port {port + 1}")
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_port_that_there_is_not_is_refused(gogooku: Command, port: str) -> None:
    given = gogooku("ui", "--port", port)
    assert given.status == 2 and "--port" in given.err


def test_a_name_without_an_address_is_refused(gogooku: Command) -> None:
    refused(gogooku("ui", "--config", str(TINY_BARS), "--host", "no.such.host.invalid"), "no.such.host.invalid")


def test_one_home_has_one_web_server_and_daemon_until_what_it_executes_has_ended(tmp_path: Path) -> None:
    place = Installation(tmp_path / "home", presets.locate("demo"))
    program = (
        "import os, pathlib; from gogooku_dagster.lib.exclusive import serve_alone;"
        "from gogooku_dagster.lib.home import Installation;"
        f"serve_alone(Installation(pathlib.Path({str(place.home)!r}), pathlib.Path('demo')), 'http://here:3000');"
        "os.execvp('sh', ['sh', '-c', 'echo ready; read line'])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        with pytest.raises(BusyError, match=rf"serves {place.home}, on http://here:3000 \(process {server.pid}\)"):
            serve_alone(place, "http://here:3001")
        server.communicate(b"\n")
    os.close(serve_alone(place, "http://here:3001"))
