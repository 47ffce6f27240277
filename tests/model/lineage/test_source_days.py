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
    store = Store(tmp_path)
    days = source_days.look_up(store, settings, date(2024, 1, 1))
    [path] = (tmp_path / source_days.FOLDER).iterdir()
    path.write_bytes(content)
    assert source_days.known_days(store, settings) == {}
    assert days and source_days.look_up(store, settings, date(2024, 1, 1)) == days
    assert source_days.known_days(store, settings) == days


def test_looking_at_another_source_leaves_what_is_remembered_of_the_first(tmp_path: Path) -> None:
    first, other = (presets.load(TINY, [f"source.start={day}"]) for day in ("2019-06-03", "2019-06-10"))
    store, today = Store(tmp_path), date(2024, 1, 1)
    days = source_days.look_up(store, first, today)
    assert source_days.look_up(store, other, today) != days
    assert source_days.known_days(store, first) == days
