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
from model.settings import presets, strict_yaml
from model.settings.root import Settings
from model.store import atomic
from model.store.store import Store

HOME = "GOGOOKU_HOME"
CONFIG = "GOGOOKU_CONFIG"
DEFAULT_PRESET = "demo"
_INSTANCE = "dagster.yaml"
_INSTANCE_TEMPLATE = Path(__file__).with_name(_INSTANCE)


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

    @cached_property
    def dagster_home(self) -> Path:
        """The folder of the Dagster instance: its own, or the one in DAGSTER_HOME that keeps its files in this home.

        In the containers the web pages and the daemon have such an instance, and a command must be part of it.
        """
        own = self.home / "dagster"
        named = os.environ.get("DAGSTER_HOME")
        return Path(named) if named and _keeps_its_files_below(Path(named) / _INSTANCE, own) else own

    def prepare(self) -> None:
        """Make the folders and Dagster's instance file; record the configuration for later commands.

        While a command computes, only that command may call this: each of its steps reads the record.
        """
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        instance_file = self.dagster_home / _INSTANCE
        if not instance_file.exists():
            atomic.write_bytes(instance_file, _INSTANCE_TEMPLATE.read_bytes())
        if self.changes_the_record:
            atomic.write_bytes(self.record, self._as_preset().encode())
        os.environ[HOME] = str(self.home)
        os.environ[CONFIG] = str(self.record)

    @property
    def changes_the_record(self) -> bool:
        """Whether another configuration is recorded than this one."""
        if self.preset == self.record and not self.overrides:
            return False
        return not self.record.is_file() or self.record.read_text(encoding="utf-8") != self._as_preset()

    @property
    def record(self) -> Path:
        """The configuration of the last run, as a preset."""
        return self.home / "config.yaml"

    def _as_preset(self) -> str:
        document: dict[str, Any] = {"extends": str(self.preset)}
        if self.preset == self.record:  # what it holds, with the overrides on top
            document = yaml.safe_load(self.record.read_text(encoding="utf-8"))
        presets.overlay(document, self.overrides)
        path = getattr(self.settings.source, "path", "")
        if path:  # meant from where the command was typed, also for later commands
            document.setdefault("source", {})["path"] = str(Path(path).expanduser().absolute())
        source = document.get("source")
        if isinstance(source, dict):
            source.setdefault("kind", self.settings.source.kind)
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


def _keeps_its_files_below(instance_file: Path, folder: Path) -> bool:
    """Whether an instance file names a place for its files that lies in this folder.

    Raises:
        SettingsError: it is not readable YAML, so that nothing can be said.
    """
    if not instance_file.is_file():
        return False
    try:
        found = yaml.safe_load(instance_file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{instance_file}, to which DAGSTER_HOME leads, is not readable YAML ({strict_yaml.problem(error)}). "
            "Correct the file, or unset DAGSTER_HOME."
        ) from error
    for key in ("local_artifact_storage", "config", "base_dir"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, str) and Path(found).is_relative_to(folder)
