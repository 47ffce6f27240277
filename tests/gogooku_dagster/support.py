"""A home that holds the tiny pipeline, and Dagster on it: what the tests of this folder share.

The code location reads its configuration once, when it is imported. ``Place.load`` therefore imports it anew for
one home, and ``forget`` leaves nothing of it behind for other tests of the process.
"""

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from gogooku_dagster.lib import configuration
from gogooku_dagster.lib.event_log import open_instance
from gogooku_dagster.lib.home import CONFIG, HOME, Installation
from gogooku_dagster.lib.materialise import CAUSE
from gogooku_dagster.lib.reconcile import Reconciler
from gogooku_dagster.lib.workspace import lineage
from model.daily_quotes.sources.source import open_source
from model.lineage.source_days import look_up
from model.lineage.staleness import Lineage
from model.settings import presets
from model.settings.root import Settings
from model.store.checks import Check, CheckOutcome
from model.store.store import Store

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "presets" / "tiny_bars.yaml"
TODAY = date(2024, 1, 1)
START = date(2018, 4, 2)
"""Later than the tiny preset's own start: fewer days to ingest."""
MENDED = "2019-05-14"
"""A day that lies in the window of the last fold only."""
FOLDS = ("wf_2018q4", "wf_2019q2")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Place:
    """One storage root with the tiny preset on a file of bars, and the code location loaded for it."""

    home: Path

    @property
    def bars(self) -> Path:
        """The file that the source reads."""
        return self.home / "bars.parquet"

    @property
    def preset(self) -> Path:
        """The preset of this home."""
        return self.home / "preset.yaml"

    def configure(self, **sections: Any) -> None:
        """Write the preset: tiny, on the file of bars, with ``sections`` on top."""
        source = {"kind": "files", "path": str(self.bars), "start": START, "end": date(2019, 6, 28)}
        document = {"extends": str(TINY), "source": source, **sections}
        self.preset.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.__dict__.pop("installation", None)

    @cached_property
    def installation(self) -> Installation:
        """Home and configuration, as a command would find them."""
        return Installation(self.home, self.preset)

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The code location, imported for this home."""
        forget()
        os.environ[HOME], os.environ[CONFIG] = str(self.home), str(self.preset)
        self.installation.prepare()
        return _definitions()

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The Dagster instance of this home."""
        self.installation.prepare()
        return open_instance(self.installation.dagster_home)

    def reload(self) -> None:
        """As a restart of the code location."""
        self.__dict__.pop("definitions", None)
        self.__dict__.pop("installation", None)

    def bring_up_to_date(self, until: str | None = None) -> list[tuple[str, str | None]]:
        """What ``gogooku refresh`` does."""
        definitions = self.definitions
        outcome = Reconciler(self.installation, lambda: definitions, TODAY).bring_up_to_date(until)
        return [(manifest.asset, manifest.partition) for manifest in outcome.computed]

    def materialise(
        self, asset: str, *partitions: str | None, raise_on_error: bool = True, cause: str = "click"
    ) -> dg.ExecuteInProcessResult:
        """One Dagster run of one asset, as a click (or another cause) would start it; several days are one run."""
        tags = {CAUSE: cause}
        key = partitions[0] if partitions else None
        if len(partitions) > 1:
            key = None
            tags |= {
                "dagster/asset_partition_range_start": str(partitions[0]),
                "dagster/asset_partition_range_end": str(partitions[-1]),
            }
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset)],
            partition_key=key,
            tags=tags,
            run_config=QUIET,
            raise_on_error=raise_on_error,
        )

    def lineage(self) -> Lineage:
        """Our own judge, with the source as it is now."""
        look_up(self.installation.store, self.installation.settings, TODAY)
        return lineage(self.installation)

    def mend(self, day: str, factor: float = 1.01) -> None:
        """Correct the close of every fifth code on one day, within the day's range of prices."""
        frame = pl.read_parquet(self.bars)
        chosen = sorted(frame["Code"].unique().to_list())[::5]
        hit = (pl.col("Date") == date.fromisoformat(day)) & pl.col("Code").is_in(chosen)
        wider = [pl.max_horizontal("High", pl.col("Close") * factor).alias("High"), pl.col("Close") * factor]
        frame.with_columns(pl.when(hit).then(each).otherwise(pl.col(each.meta.output_name())) for each in wider).select(
            frame.columns
        ).write_parquet(self.bars)

    def materialisation(self, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
        """The latest materialisation of one artefact in the event log."""
        chosen = [partition] if partition else None
        where = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=chosen)
        [record] = self.instance.fetch_materializations(where, limit=1).records
        found = record.asset_materialization
        assert found is not None
        return found

    def refuse(self, monkeypatch: pytest.MonkeyPatch, asset: str, check: str, partition: str | None = None) -> None:
        """Let a check of an asset find fault with one artefact."""
        room = importlib.import_module(f"model.{asset}.checks")

        def verdict(of: Check, store: Store, settings: Settings, asked: str | None) -> CheckOutcome:
            return CheckOutcome(False, "refused for a test") if asked == partition else of.run(store, settings, asked)

        checks = tuple(
            replace(each, run=partial(verdict, each)) if each.name == check else each for each in room.CHECKS
        )
        assert checks != room.CHECKS
        monkeypatch.setattr(room, "CHECKS", checks)

    def close(self) -> None:
        """Let go of the databases."""
        if "instance" in self.__dict__:
            self.instance.dispose()


def values(event: dg.AssetMaterialization | dg.AssetObservation) -> dict[str, Any]:
    """An event's metadata without Dagster's wrappers."""
    return {name: entry.value for name, entry in event.metadata.items()}


def data_version(event: dg.AssetMaterialization) -> str:
    """The content hash under which an artefact was reported."""
    assert event.tags is not None
    return event.tags["dagster/data_version"]


def refusal(result: dg.ExecuteInProcessResult) -> str:
    """What the one failed step of a run says to the person, without a traceback."""
    [failure] = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    return said.description or ""


def _definitions() -> dg.Definitions:
    from gogooku_dagster.definitions import defs

    return defs()


def forget() -> None:
    """Drop the code location from this process: modules of ``defs`` and the cached configuration."""
    for cached in (configuration.current, configuration.day_partitions, configuration.fold_partitions):
        cached.cache_clear()
    for name in list(sys.modules):
        if name == "gogooku_dagster.definitions" or name.startswith("gogooku_dagster.defs"):
            del sys.modules[name]


@contextmanager
def kept_environment() -> Iterator[None]:
    """Undo what preparing an installation does to the two environment variables."""
    before = {name: os.environ.get(name) for name in (HOME, CONFIG)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        forget()


def new_place(home: Path) -> Place:
    """An empty home with the bars of the tiny market in a file."""
    home.mkdir(parents=True)
    place = Place(home)
    source = open_source(presets.load(TINY), today=TODAY)
    source.read(sorted(source.index().days)).quotes.drop("KnownAt").write_parquet(place.bars)
    place.configure()
    return place


def copied(place: Path, to: Path) -> Place:
    """The same home somewhere else, with its own file of bars."""
    shutil.copytree(place, to)
    (to / "config.yaml").unlink(missing_ok=True)
    copy = Place(to)
    copy.configure()
    return copy


def stale_status(
    instance: dg.DagsterInstance, definitions: dg.Definitions
) -> Callable[[str, str | None], tuple[str, list[tuple[str, str, str]]]]:
    """Dagster's own answer: FRESH, STALE or MISSING, with category, reason and input of each cause.

    The resolver is internal to Dagster (its public form is GraphQL's ``staleStatus``), so it is used nowhere else.
    """
    resolver = CachingStaleStatusResolver(instance, definitions.resolve_asset_graph(), LoadingContextForTest(instance))

    def ask(asset: str, partition: str | None) -> tuple[str, list[tuple[str, str, str]]]:
        key = dg.AssetKey(asset)
        causes = [
            (
                cause.category.value,
                cause.reason,
                cause.dependency.asset_key.to_user_string() if cause.dependency else "",
            )
            for cause in resolver.get_stale_causes(key, partition)
        ]
        return resolver.get_status(key, partition).value, causes

    return ask


def requested(result: dg.EvaluateAutomationConditionsResult) -> dict[str, set[str | None]]:
    """What an evaluation of the automation asks for: partitions by asset."""
    return {
        each.key.to_user_string(): {
            part.partition_key for part in each.true_subset.expensively_compute_asset_partitions()
        }
        for each in result.results
        if isinstance(each.key, dg.AssetKey) and each.true_subset.size
    }
