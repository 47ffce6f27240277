"""Five years of real NASDAQ bars, which lie beside the checkout where they are there at all."""

from pathlib import Path

import pytest

NAME = "us_nasdaq_daily_2012_2017.parquet"


def shared_file() -> Path:
    """The file; the test is skipped without it."""
    for folder in Path(__file__).resolve().parents:
        found = folder / "shared" / "data" / NAME
        if found.is_file():
            return found
    pytest.skip(f"the shared real data ({NAME}) are not beside this checkout")
