"""The stages from the days to the statistics, each in a process of its own, on a tiled market.

``python -m benchmarks.feature_stages HOME STAGE`` brings one stage of a benchmark's store up to date, as the pipeline
does without the orchestration around it, and prints its figures as one line of JSON. Its seconds are those of judging
what is stale and of the work, without the start of Python and the import of libraries; its memory is the peak of the
process.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.tiled_market import TiledMarket, batches
from gogooku_dagster import POLARS_MEMORY
from model.daily_quotes.schema import ASSET as QUOTES_ASSET
from model.daily_quotes.settings import CalendarSettings, FilesSource
from model.daily_quotes.sources.base import DayBatch, SourceIndex
from model.daily_quotes.stage import ingest
from model.lineage.graph import BY_NAME
from model.lineage.staleness import Lineage
from model.quality_features.settings import FeatureSettings
from model.settings.root import Settings
from model.store.peak_memory import peak_memory_bytes
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.settings import FoldSettings

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("raw_dataset", "quality_features", "walk_forward_folds", "normalization_stats")
"""What lies between the days and the statistics; labels belong to quality_features."""
_SETTINGS = "benchmark_settings.json"
_DAYS = "benchmark_days.json"


@dataclass(frozen=True)
class Figures:
    """One stage brought up to date once; ``artefacts`` is how many had to be materialised."""

    stage: str
    artefacts: int
    rows: int
    seconds: float
    processor_seconds: float
    peak_memory_bytes: int


@dataclass
class MarketStore:
    """A store that is fed from a tiled market day by day."""

    home: Path
    market: TiledMarket
    features: FeatureSettings

    def ingest(self, days: Sequence[date]) -> float:
        """Publish days as an ingestion does; returns the seconds without those of making the rows."""
        seconds = 0.0
        for group in batches(days, self.market.rows / len(self.market.dates)):
            seconds += self._publish(self.market.read(group))
        return seconds

    def mend(self, day: date, code: str, factor: float) -> float:
        """Another close for one name on one day, as a source that corrects itself delivers it."""
        batch = self.market.read([day])
        close = pl.when(pl.col("Code") == code).then(pl.col("Close") * factor).otherwise("Close")
        return self._publish(DayBatch(batch.days, batch.quotes.with_columns(Close=close), beside=batch.beside))

    def bring(self, stages: Sequence[str] = STAGES) -> list[Figures]:
        """Bring stages up to date one after the other, each in a fresh process.

        Raises:
            subprocess.CalledProcessError: a stage failed (its own message is on stderr).
        """
        found = []
        environment = {**POLARS_MEMORY, **os.environ}  # as every process of the pipeline has it
        for stage in stages:
            command = [sys.executable, "-m", "benchmarks.feature_stages", str(self.home), stage]
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True)
            found.append(Figures(**json.loads(done.stdout.splitlines()[-1])))
        return found

    def _publish(self, batch: DayBatch) -> float:
        self.home.mkdir(parents=True, exist_ok=True)
        chosen = _chosen(self.market, self.features)
        (self.home / _SETTINGS).write_text(chosen.model_dump_json(), encoding="utf-8")
        known = _known_days(self.home)
        for day in batch.days:
            known[day] = str(int(known.get(day, "-1")) + 1)
        document = {day.isoformat(): version for day, version in known.items()}
        (self.home / _DAYS).write_text(json.dumps(document), encoding="utf-8")
        store = Store(self.home)
        started = time.perf_counter()
        lineage = Lineage(store, chosen, known)
        identities = {day: lineage.identity(QUOTES_ASSET, day.isoformat()) for day in batch.days}
        for _ in ingest(store, chosen, identities, source=_Delivered(batch)):
            pass
        return time.perf_counter() - started


@dataclass(frozen=True)
class _Delivered:
    """A batch that has arrived, as a source."""

    batch: DayBatch

    def index(self) -> SourceIndex:
        """One version a day: the store's own record of versions is kept beside it."""
        return SourceIndex("benchmark", dict.fromkeys(self.batch.days, "0"))

    def read(self, days: Sequence[date]) -> DayBatch:
        """The rows of these days."""
        return self.batch.only(days)


def bring_one(home: Path, stage_name: str) -> Figures:
    """Materialise every partition of a stage that is not fresh, in this process."""
    chosen = Settings.model_validate_json((home / _SETTINGS).read_text(encoding="utf-8"))
    stage = BY_NAME[stage_name]
    importlib.import_module(stage.module)
    started, processor = time.perf_counter(), time.process_time()
    store = Store(home)
    lineage = Lineage(store, chosen, _known_days(home))
    rows = artefacts = 0
    for partition in lineage.partitions(stage_name):
        if lineage.judge(stage_name, partition).state == "fresh":
            continue
        manifest = stage.materialise(StageRun(store, chosen, lineage.identity(stage_name, partition), partition))
        rows += manifest.rows
        artefacts += 1
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    return Figures(stage_name, artefacts, rows, seconds, processor, peak_memory_bytes())


def _chosen(market: TiledMarket, features: FeatureSettings) -> Settings:
    """Every name in the universe; a fold that trains on the whole history, and one that tests its last half-year."""
    last = market.dates[-1]
    tested = (f"{last.year}h{1 if last.month <= 6 else 2}",) if market.days >= 700 else ()
    return Settings(
        source=FilesSource(path="tiled-market"),
        calendar=CalendarSettings(exchange="from_data", close="15:00"),
        features=features,
        folds=FoldSettings(periods=tested, live=True, min_train_days=60),
    )


def _known_days(home: Path) -> dict[date, str]:
    """The version of each day that was delivered so far."""
    path = home / _DAYS
    if not path.is_file():
        return {}
    return {date.fromisoformat(day): version for day, version in json.loads(path.read_text(encoding="utf-8")).items()}


def main(arguments: Sequence[str]) -> int:
    """Bring one stage up to date and print its figures."""
    home, stage = arguments
    print(json.dumps(asdict(bring_one(Path(home), stage))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
