"""The table of the feature benchmarks."""

from typing import Any

from benchmarks.features import table


def figures(stage: str, seconds: float) -> dict[str, Any]:
    return {"stage": stage, "seconds": seconds, "processor_seconds": 2 * seconds, "peak_memory_bytes": 3 << 30}


def panel(rows: int) -> dict[str, Any]:
    stages = {"raw_dataset": 9.0, "quality_features": 20.0, "walk_forward_folds": 1.0, "normalization_stats": 4.0}
    return {
        "rows": rows,
        "full": [figures(*each) for each in stages.items()],
        "fix_share_of_full": 0.04,
        "fix_share_of_full_with_panel": 0.03,
        "appended_day_seconds": 2.5,
    }


def test_the_growing_panels_have_a_line_each_with_the_figures_of_the_targets() -> None:
    text = table({"alpha158": {"speed_ratio": 22.0, "memory_ratio": 0.2}, "panel": [panel(10**6), panel(4 * 10**6)]})
    small, large = (line.split() for line in text.splitlines() if line.lstrip().startswith(("1,000,000", "4,000,000")))
    assert small == ["1,000,000", "20.0", "40.0", "20.00", "3.00", "5.0", "4.0%", "3.0%", "2.50", "s"]
    assert large[:4] == ["4,000,000", "20.0", "40.0", "5.00"]
    assert "22.0 times" in text
