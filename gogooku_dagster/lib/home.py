"""Where an installation lives and which configuration it runs.

Two environment variables, and no others (secrets apart, which ``credentials`` reads): ``GOGOOKU_HOME`` (storage root,
default ``.gogooku`` in the working directory) and ``GOGOOKU_CONFIG`` (a preset's name or file, default ``demo``). A
command records the configuration that it ran as ``<home>/config.yaml``, itself a preset; commands that look at a home
without naming another use that one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from model.errors import SettingsError
from model.settings import presets
from model.settings.root import Settings
from model.store import atomic
from model.store.store import Store

HOME = "GOGOOKU_HOME"
CONFIG = "GOGOOKU_CONFIG"
DEFAULT_PRESET = "demo"
_INSTANCE_TEMPLATE = Path(__file__).with_name("dagster.yaml")


@dataclass(frozen=True)
class Installation:
    """One storage root with one configuration."""

    home: Path
    preset: Path
    overrides: tuple[str, ...] = ()

    @cached_property
    def settings(self) -> Settings:
        """The validated settings; a relative ``source.path`` is taken from the working directory."""
        return presets.load(self.preset, self.overrides)

    @cached_property
    def store(self) -> Store:
        """The artefacts."""
        return Store(self.home)

    @property
    def dagster_home(self) -> Path:
        """The folder of the Dagster instance."""
        return self.home / "dagster"

    def prepare(self) -> None:
        """Make the folders and Dagster's instance file; record the configuration for later commands."""
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        instance_file = self.dagster_home / "dagster.yaml"
        if not instance_file.exists():
            atomic.write_bytes(instance_file, _INSTANCE_TEMPLATE.read_bytes())
        if self.preset != self.record:
            atomic.write_bytes(self.record, self._as_preset().encode())
        os.environ[HOME] = str(self.home)
        os.environ[CONFIG] = str(self.record)

    @property
    def record(self) -> Path:
        """The configuration of the last run, as a preset."""
        return self.home / "config.yaml"

    def _as_preset(self) -> str:
        document: dict[str, Any] = {"extends": str(self.preset)}
        for override in self.overrides:
            key, _, text = override.partition("=")
            *parents, last = key.strip().split(".")
            place = document
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = presets.plain_value(text)
        source = document.get("source")
        if isinstance(source, dict):
            source.setdefault("kind", self.settings.source.kind)
            if source.get("path"):  # meant from where the command was typed, also for later commands
                source["path"] = str(Path(source["path"]).expanduser().absolute())
        return "# Written by `gogooku run`: the configuration of the last run.\n" + yaml.safe_dump(
            document, sort_keys=False, allow_unicode=True
        )


def home() -> Path:
    """The storage root as an absolute path."""
    return Path(os.environ.get(HOME) or ".gogooku").expanduser().absolute()


def installation(config: str | None = None, overrides: Sequence[str] = ()) -> Installation:
    """The configuration that was asked for: by flag, by ``GOGOOKU_CONFIG``, or by default the demo preset.

    Raises:
        SettingsError: there is no such preset.
    """
    root = home()
    preset = presets.locate(config or os.environ.get(CONFIG) or DEFAULT_PRESET).absolute()
    return Installation(root, preset, tuple(_absolute_path(override) for override in overrides))


def installation_to_run(config: str | None = None, overrides: Sequence[str] = ()) -> Installation:
    """As ``installation``, but the market that is simulated by default takes no real data's place unasked.

    Raises:
        SettingsError: there is no such preset; or none is named, and the last run in this home read real data.
    """
    asked = installation(config, overrides)
    if config or os.environ.get(CONFIG) or asked.settings.source.kind != "simulated" or not asked.record.is_file():
        return asked
    last = Installation(asked.home, asked.record)
    if last.settings.source.kind == "simulated":
        return asked
    raise SettingsError(
        f"The last run in {asked.home} read real data (source.kind: {last.settings.source.kind}). Without a preset, "
        f"`gogooku run` would put the simulated market of the preset {DEFAULT_PRESET} in their place. To go on with "
        f"the data: `gogooku refresh`, or name their configuration, `gogooku run --config {asked.record}`. For the "
        f"simulated market: another {HOME}, or `--config {DEFAULT_PRESET}` if the data may go."
    )


def last_installation(config: str | None = None, overrides: Sequence[str] = ()) -> Installation:
    """As ``installation``, but overrides of the last run hold where it ran the same preset or none is named."""
    asked = installation(config, overrides)
    record = asked.record
    if not record.is_file():
        return asked
    named = config or os.environ.get(CONFIG)
    if named and str(asked.preset) != presets.parent(record):
        return asked
    return Installation(asked.home, record, asked.overrides)


def _absolute_path(override: str) -> str:
    """``source.path`` is meant from where the command was typed, also when another process reads it later."""
    key, sign, text = override.partition("=")
    if key.strip() != "source.path" or not text:
        return override
    return f"{key}{sign}{Path(text).expanduser().absolute()}"
