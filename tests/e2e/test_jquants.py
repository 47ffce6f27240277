"""The command line on a J-Quants server: it runs, says how long it will take, and the key shows up nowhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from model.daily_quotes import calendar
from model.daily_quotes.settings import CalendarSettings
from tests.e2e.conftest import Place
from tests.gogooku_dagster.cli.inside import inside
from tests.model.daily_quotes.jquants.market import FakeMarket, statement
from tests.model.daily_quotes.jquants.server import KEY, JQuantsServer

pytestmark = pytest.mark.e2e

DAYS = calendar.trading_days(CalendarSettings(), date(2024, 1, 4), date(2024, 2, 16))
PRESET = """
extends: jquants
source: {{plan: premium, base_url: {url}, start: 2024-01-04, end: 2024-02-16}}
quality: {{min_names: 3, min_days: 20}}
universe: {{size: 5, lookback_days: 10}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[JQuantsServer]:
    market = FakeMarket(DAYS)
    market.statements.append(statement(DAYS[5], "72030", "1", Sales="100"))
    running = JQuantsServer(market)
    running.lacks = ("margin-alert",)
    yield running
    running.close()


def gogooku(home: Path, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a key in the environment."""
    environment = {**Place(home).environment, "JQUANTS_API_KEY": key}
    command = [str(Path(sys.executable).with_name("gogooku")), *arguments]
    return subprocess.run(
        command, cwd=home.parent, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


def holding(folder: Path, text: str) -> list[str]:
    """Files below a folder that hold a text."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_key_is_in_no_file_log_event_or_message(
    tmp_path: Path, server: JQuantsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, preset = tmp_path / "home", tmp_path / "mine.yaml"
    preset.write_text(PRESET.format(url=server.url), encoding="utf-8")
    done = gogooku(home, KEY, "run", "--config", str(preset), "--until", "raw_dataset")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "requests to J-Quants" in done.stderr
    monkeypatch.setenv("JQUANTS_API_KEY", f"{KEY}-wrong")
    refused = inside(home, "status", "--set", "source.plan=light")
    assert refused.status == 1 and "rejected the API key" in refused.err
    monkeypatch.setenv("JQUANTS_API_KEY", KEY)
    shown = inside(home, "status", "--json")
    missing = {entry["asset"] for entry in json.loads(shown.out)["missing"]}
    assert not missing & {"daily_quotes", "raw_dataset"}
    assert {request.key for request in server.requests} == {KEY, f"{KEY}-wrong"}
    assert KEY not in done.stdout + done.stderr + "".join(each.out + each.err for each in (refused, shown))
    assert holding(tmp_path, KEY) == []
    assert holding(home / "sources", "not available on your subscription") == [
        str(home / "sources" / "jquants" / "coverage.json")
    ]
