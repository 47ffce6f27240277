"""What is remembered of the source is a convenience: a damaged memory is none."""

from datetime import date
from pathlib import Path

import pytest

from model.lineage import source_days
from model.settings import presets
from model.store.store import Store

TINY = Path(__file__).parents[2] / "presets" / "tiny_bars.yaml"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"{}", b'{"source": "x", "index": [1]}', b"\xff\xfe"])
def test_a_damaged_memory_of_the_source_is_made_anew(tmp_path: Path, content: bytes) -> None:
    settings = presets.load(TINY, ["source.start=2019-06-03"])
    store, path = Store(tmp_path), tmp_path / source_days.NAME
    path.write_bytes(content)
    assert source_days.known_days(store) == {}
    days = source_days.look_up(store, settings, date(2024, 1, 1))
    assert days and source_days.known_days(store) == days
