"""``python -m benchmarks.run``: seconds, rows a second and peak memory of every stage.

Each workload is a preset that ``gogooku run`` computes in a process of its own, into an empty storage root; the figures
are those that every artefact's manifest records about itself, so the benchmark measures what people run and nothing
else. Without ``--config`` the benchmarks of the parts follow: features against pyqlib and on growing panels
(:mod:`benchmarks.features`), the trainer against the machine's limit and pyqlib (:mod:`benchmarks.trainer`),
portfolios (:mod:`benchmarks.portfolio`) and ``gogooku evaluate`` on 5 million predictions
(:mod:`benchmarks.evaluation`); ``--only`` picks, ``--quick`` makes them small. The result is a table on stdout and a
JSON document (default ``bench-results/<time>.json``) with the machine and the library versions beside the figures,
because figures of different machines must not be compared.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import evaluation, features, portfolio, trainer

ROOT = Path(__file__).resolve().parents[1]
SHARED_FILE = ROOT.parent / "shared" / "data" / "us_nasdaq_daily_2012_2017.parquet"
RESULTS = ROOT / "bench-results"


@dataclass(frozen=True)
class Workload:
    """A preset to time, with overrides of single settings."""

    name: str
    preset: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageFigures:
    """What the manifests of one asset add up to.

    ``peak_memory_bytes`` is the most that any of the asset's artefacts recorded, for the process that wrote it.
    """

    asset: str
    artefacts: int
    rows: int
    seconds: float
    rows_per_second: float
    peak_memory_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the workloads, print the table, write the JSON document."""
    options = _parse(arguments)
    document: dict[str, Any] = {"machine": machine()}
    if options.only in (None, "stages"):
        document["workloads"] = _stages(options)
    if options.only in (None, "features") and not options.config:
        with tempfile.TemporaryDirectory(prefix="gogooku-bench-") as work:
            document["features"] = features.run(Path(work), options.quick)
        print(features.table(document["features"]))
    if options.only in (None, "trainer") and not options.config:
        with tempfile.TemporaryDirectory(prefix="gogooku-bench-") as work:
            document["trainer"] = trainer.run(Path(work), options.quick)
    if options.only in (None, "portfolio") and not options.config:
        document["portfolio"] = portfolio.run(options.quick)
        print(json.dumps(document["portfolio"], indent=1))
    if options.only in (None, "evaluation") and not options.config:
        document["evaluation"] = evaluation.run(options.quick)
        print(json.dumps(document["evaluation"], indent=1))
    out = options.json or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"Written to {out}")
    return 0


def _stages(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the workloads and print their tables."""
    workloads = [Workload(Path(preset).stem, preset, tuple(options.set)) for preset in options.config]
    results = []
    for workload in workloads or default_workloads():
        print(f"{workload.name}: gogooku run --config {workload.preset}", file=sys.stderr, flush=True)
        result = measure(workload)
        print(table(result))
        results.append(result)
    return results


def default_workloads() -> list[Workload]:
    """The embedded market, and the shared file of real bars where it lies beside the checkout."""
    found = [Workload("demo", "demo")]
    if SHARED_FILE.is_file():
        found.append(Workload("us_equities", "us_equities", (f"source.path={SHARED_FILE}",)))
    return found


def measure(workload: Workload) -> dict[str, Any]:
    """Compute a workload from nothing and read its manifests.

    Raises:
        subprocess.CalledProcessError: ``gogooku run`` did not succeed (its own message is on stderr).
    """
    command = [str(Path(sys.executable).with_name("gogooku")), "run", "--config", workload.preset]
    for override in workload.overrides:
        command += ["--set", override]
    with tempfile.TemporaryDirectory(prefix="gogooku-bench-") as home:
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env={**os.environ, "GOGOOKU_HOME": home}, stdout=sys.stderr, check=True)
        wall = time.perf_counter() - started
        stages = read_figures(Path(home))
        size = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file())
    return {
        "name": workload.name,
        "preset": workload.preset,
        "overrides": list(workload.overrides),
        "wall_seconds": round(wall, 2),
        "bytes_on_disk": size,
        "stages": [asdict(stage) for stage in stages],
    }


def read_figures(home: Path) -> list[StageFigures]:
    """The figures of every asset under a storage root, in the order in which the assets were first written."""
    manifests: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((home / "artifacts").glob("*/*/manifest.json")):
        manifests.setdefault(path.parents[1].name, []).append(json.loads(path.read_text(encoding="utf-8")))
    order = sorted(manifests, key=lambda asset: min(entry["created_at"] for entry in manifests[asset]))
    return [_sum(asset, manifests[asset]) for asset in order]


def _sum(asset: str, entries: Sequence[dict[str, Any]]) -> StageFigures:
    seconds = sum(entry["seconds"] for entry in entries)
    rows = sum(entry["rows"] for entry in entries)
    return StageFigures(
        asset=asset,
        artefacts=len(entries),
        rows=rows,
        seconds=round(seconds, 3),
        rows_per_second=round(rows / seconds, 1) if seconds > 0 else 0.0,
        peak_memory_bytes=max(entry["peak_memory_bytes"] for entry in entries),
    )


def table(result: dict[str, Any]) -> str:
    """The figures of one workload as text."""
    lines = [
        f"\n{result['name']}: {result['wall_seconds']:.1f} s in all, {mebibytes(result['bytes_on_disk'])} MiB on disk",
        f"{'asset':<24}{'artefacts':>10}{'rows':>14}{'seconds':>10}{'rows/s':>14}{'peak MiB':>10}",
    ]
    lines += [
        f"{stage['asset']:<24}{stage['artefacts']:>10,}{stage['rows']:>14,}{stage['seconds']:>10.2f}"
        f"{stage['rows_per_second']:>14,.0f}{mebibytes(stage['peak_memory_bytes']):>10}"
        for stage in result["stages"]
    ]
    total = sum(stage["seconds"] for stage in result["stages"])
    lines.append(f"{'in stages':<48}{total:>10.2f}")
    return "\n".join(lines)


def mebibytes(count: int) -> str:
    """A count of bytes in MiB."""
    return f"{count / 2**20:,.0f}"


def machine() -> dict[str, Any]:
    """What the figures hold for: processor, cores, Python and the libraries that compute."""
    from importlib.metadata import version

    libraries = ("dagster", "polars", "numpy", "torch", "torch-geometric", "lightgbm")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
    }


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Time every stage of the pipeline.")
    parser.add_argument(
        "--config", action="append", default=[], metavar="PRESET", help="Preset to time; may be repeated."
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="Override for the presets of --config."
    )
    kinds = ("stages", "features", "trainer", "portfolio", "evaluation")
    parser.add_argument("--only", choices=kinds, help="One kind of benchmark.")
    parser.add_argument("--quick", action="store_true", help="Small data for all but the stages.")
    parser.add_argument("--json", type=Path, metavar="OUT", help="Where to write the JSON document.")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
