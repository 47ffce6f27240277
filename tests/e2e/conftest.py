"""The real thing, small: the command line, a web server on a computed storage root, a browser before it."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Computed

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """A storage root, and the command as a process of its own on it."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which commands see this storage root."""
        kept = {key: value for key, value in os.environ.items() if key not in ("GOGOOKU_CONFIG", "DAGSTER_HOME")}
        return {**kept, "GOGOOKU_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}

    def gogooku(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a person would, from another folder than the checkout."""
        command = [str(Path(sys.executable).with_name("gogooku")), *arguments]
        return subprocess.run(
            command,
            cwd=self.home.parent,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[None]:
    """A server in a process group of its own, which is gone afterwards with all its children."""
    with log.open("wb") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True, **options)
        try:
            yield
        finally:
            signal_group(server.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(15)
            signal_group(server.pid, signal.SIGKILL)
            server.wait(15)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there is anybody left in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request(url: str, document: Any = None, method: str | None = None) -> Any:
    """Send and receive JSON."""
    data = None if document is None else json.dumps(document).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())


def wait_for(url: str, log: Path, seconds: float = 120.0) -> None:
    """Until a server answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(url, timeout=5),
        ):
            return
        time.sleep(0.5)
    pytest.fail(f"nothing answers on {url} after {seconds:.0f} s; its log ends with:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def dagster(pipeline: Computed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of Dagster's web server over the computed storage root (no daemon, so that nothing changes by itself)."""
    port, log = free_port(), tmp_path_factory.mktemp("dagster") / "webserver.log"
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "-h", "127.0.0.1", "-p", str(port)]
    environment = {**Place(pipeline.home).environment, "DAGSTER_HOME": str(pipeline.home / "dagster")}
    with running([*command, "-w", str(ROOT / "workspace.yaml")], log, cwd=ROOT, env=environment):
        wait_for(f"http://127.0.0.1:{port}/server_info", log)
        yield f"http://127.0.0.1:{port}"


class Browser:
    """Headless Chromium over the WebDriver protocol: go somewhere, wait for text, take a picture."""

    def __init__(self, driver: str, binary: str, profile: Path) -> None:
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        arguments += ["--window-size=1900,1200", f"--user-data-dir={profile}"]
        wanted = {"goog:chromeOptions": {"binary": binary, "args": arguments}}
        made = request(f"{driver}/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"{driver}/session/{made['value']['sessionId']}"

    def open(self, url: str) -> None:
        """Load a page."""
        request(f"{self._session}/url", {"url": url})

    def resize(self, width: int, height: int = 900) -> None:
        """Show pages as a screen of that many CSS pixels does (a window of Chromium cannot be as narrow as a phone)."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        asked = {"cmd": "Emulation.setDeviceMetricsOverride", "params": screen}
        request(f"{self._session}/goog/cdp/execute", asked)

    def script(self, code: str) -> Any:
        """Evaluate JavaScript in the page."""
        return request(f"{self._session}/execute/sync", {"script": code, "args": []})["value"]

    def wait_until_shown(self, texts: list[str], seconds: float = 60.0) -> list[str]:
        """The texts that are not in the page's markup when the time is over; none as soon as all are."""
        deadline = time.monotonic() + seconds
        while True:
            markup = self.script("return document.documentElement.outerHTML")
            absent = [text for text in texts if text not in markup]
            if not absent or time.monotonic() > deadline:
                return absent
            time.sleep(0.5)

    def screenshot(self, path: Path) -> Path:
        """A PNG of what is visible."""
        path.write_bytes(base64.b64decode(request(f"{self._session}/screenshot")["value"]))
        return path

    def close(self) -> None:
        """End the session."""
        request(self._session, method="DELETE")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, or a skip that says what is missing."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    port, folder = free_port(), tmp_path_factory.mktemp("browser")
    log = folder / "chromedriver.log"
    with running([driver, f"--port={port}"], log):
        wait_for(f"http://127.0.0.1:{port}/status", log)
        session = Browser(f"http://127.0.0.1:{port}", binary, folder / "profile")
        yield session
        session.close()
