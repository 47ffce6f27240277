"""The feature benchmarks: Alpha158 against pyqlib, a full build, a mended price, an appended day, and how cost grows.

``python -m benchmarks.features [--quick] [--work FOLDER] [--json OUT]`` alone, or as a part of ``benchmarks.run``.
The market is simulated and repeated under new codes (:mod:`benchmarks.tiled_market`); the stages are the real ones on
a store (:mod:`benchmarks.feature_stages`).
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import alpha158
from benchmarks.feature_stages import STAGES, Figures, MarketStore
from benchmarks.tiled_market import TiledMarket
from model.quality_features.settings import GROUP_NAMES, FeatureSettings
from model.store.store import Store

UP_TO_DATE = ("quality_features", "walk_forward_folds", "normalization_stats")
"""Features, labels and statistics; ``…_with_panel`` below counts raw_dataset as well."""


@dataclass(frozen=True)
class Size:
    """How much is computed."""

    stocks: int
    """Simulated names."""
    days: int
    growth: tuple[int, ...]
    """Copies of each simulated name in the panels, one panel after the other."""
    alpha158_copies: int


FULL = Size(stocks=578, days=1500, growth=(3, 6, 12, 24), alpha158_copies=1)
"""A quarter, a half, once and twice 9.4 million rows."""
QUICK = Size(stocks=100, days=400, growth=(1, 2), alpha158_copies=4)


def run(work: Path, quick: bool) -> dict[str, Any]:
    """Every feature benchmark; the figures as plain values.

    Args:
        work: folder for stores and pyqlib's environment; the stores are removed again, the environment stays.
        quick: a small market, in which the ratios are those of fixed costs rather than of the work.
    """
    size = QUICK if quick else FULL
    return {"alpha158": against_pyqlib(work, size), "panel": growing_panel(work, size)}


def against_pyqlib(work: Path, size: Size) -> dict[str, Any]:
    """Alpha158 by both, on the panel that raw_dataset makes of a tiled market."""
    market = TiledMarket(size.stocks, size.days, size.alpha158_copies)
    home = work / "alpha158_store"
    shutil.rmtree(home, ignore_errors=True)
    store = MarketStore(home, market, FeatureSettings())
    _say(f"alpha158: making a panel of {market.rows:,} rows")
    store.ingest(market.dates)
    store.bring(("raw_dataset",))
    panel = Store(home).read_chunks("raw_dataset", "panel")
    shutil.rmtree(home)
    _say("alpha158: pyqlib, then ours")
    result = alpha158.compare(panel, work / "alpha158")
    _say(
        f"alpha158: {result['ours']['cells_per_core_second'] / 1e6:.1f} against "
        f"{result['pyqlib']['cells_per_core_second'] / 1e6:.2f} million cells a second and core "
        f"({result['speed_ratio']:.1f} times), memory {result['memory_ratio']:.2f} of pyqlib's"
    )
    return result


def growing_panel(work: Path, size: Size) -> list[dict[str, Any]]:
    """The same figures for each size."""
    return [measure(work, TiledMarket(size.stocks, size.days, copies)) for copies in size.growth]


def measure(work: Path, market: TiledMarket) -> dict[str, Any]:
    """A full build, a price mended in the middle of the history, and a day appended, in one store."""
    home = work / "panel_store"
    shutil.rmtree(home, ignore_errors=True)
    store = MarketStore(home, market, FeatureSettings(groups=GROUP_NAMES))
    rows = market.rows
    _say(f"panel: {rows:,} rows, ingesting")
    ingesting = store.ingest(market.dates[:-1])
    full = _reported("full build", store.bring())
    middle = market.dates[len(market.dates) // 2]
    code = market.read([middle]).quotes.drop_nulls("Close")["Code"][0]
    mending = store.mend(middle, code, 1.01)
    fix = _reported("one price mended", store.bring())
    appending = store.ingest(market.dates[-1:])
    day = _reported("one day appended", store.bring())
    columns = len(Store(home).read_json("quality_features", "catalogue.json"))
    shutil.rmtree(home)
    return {
        "rows": rows,
        "features": columns,
        "ingest_seconds": ingesting,
        "full": [asdict(each) for each in full],
        "fix": [asdict(each) for each in fix],
        "fix_ingest_seconds": mending,
        "fix_share_of_full": _seconds(fix, UP_TO_DATE) / _seconds(full, UP_TO_DATE),
        "fix_share_of_full_with_panel": _seconds(fix) / _seconds(full),
        "appended_day": [asdict(each) for each in day],
        "appended_day_ingest_seconds": appending,
        "appended_day_seconds": _seconds(day, UP_TO_DATE),
        "appended_day_seconds_with_panel": appending + _seconds(day),
    }


def table(result: Mapping[str, Any]) -> str:
    """The figures of :func:`run` as text: Alpha158, then how the cost of each kind of work grows with the rows."""
    alpha = result["alpha158"]
    lines = [
        f"\nalpha158: {alpha['speed_ratio']:.1f} times the cells a second and core of pyqlib, "
        f"{alpha['memory_ratio']:.2f} of its peak memory",
        f"\n{'':>12}{'features and labels, full':>40}{'statistics':>12}{'one price mended':>20}{'one day':>10}",
        f"{'rows':>12}{'seconds':>10}{'CPU s':>9}{'us/row':>9}{'peak GiB':>12}"
        f"{'seconds':>12}{'':>11}{'from raw':>9}{'more':>10}",
    ]
    for each in result["panel"]:
        full = {figures["stage"]: figures for figures in each["full"]}
        features, rest = full["quality_features"], (full["walk_forward_folds"], full["normalization_stats"])
        lines.append(
            f"{each['rows']:>12,}{features['seconds']:>10.1f}{features['processor_seconds']:>9.1f}"
            f"{1e6 * features['seconds'] / each['rows']:>9.2f}{features['peak_memory_bytes'] / 2**30:>12.2f}"
            f"{sum(figures['seconds'] for figures in rest):>12.1f}{each['fix_share_of_full']:>11.1%}"
            f"{each['fix_share_of_full_with_panel']:>9.1%}"
            f"{each['appended_day_seconds']:>8.2f} s"
        )
    lines.append("mended and more: features, labels, folds and statistics; mended as a share of their full build, and")
    lines.append("with raw_dataset on both sides")
    return "\n".join(lines)


def _seconds(figures: Sequence[Figures], stages: Sequence[str] = STAGES) -> float:
    return sum(each.seconds for each in figures if each.stage in stages)


def _reported(what: str, figures: list[Figures]) -> list[Figures]:
    parts = ", ".join(f"{each.stage} {each.seconds:.2f} s {each.peak_memory_bytes / 2**30:.2f} GiB" for each in figures)
    _say(f"panel: {what}: {parts}")
    return figures


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the feature benchmarks alone and write their JSON document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="A small market.")
    parser.add_argument("--work", type=Path, help="Folder to work in; a temporary one by default.")
    parser.add_argument("--json", type=Path, help="Where to write the figures; stdout by default.")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gogooku-bench-") as temporary:
        figures = run(options.work or Path(temporary), options.quick)
    print(table(figures), file=sys.stderr)
    text = json.dumps(figures, indent=1) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
