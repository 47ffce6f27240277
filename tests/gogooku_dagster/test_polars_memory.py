"""Memory that polars freed serves its next tables."""

import os
import subprocess
import sys

import pytest

_ROUND = """
import os, sys
import gogooku_dagster
assert "polars" not in sys.modules, "polars was loaded before its memory was settled"
os.environ["_RJEM_MALLOC_CONF"] += ",stats_print:true"
import polars
"""


def _options(environment: dict[str, str]) -> str:
    """What polars' allocator says at the end of a process that loads gogooku's package and then polars."""
    done = subprocess.run([sys.executable, "-c", _ROUND], check=True, capture_output=True, text=True, env=environment)
    if "opt.narenas" not in done.stderr:
        pytest.skip("this build of polars has another allocator, or one that does not tell its options")
    return done.stderr


def test_polars_has_a_heap_a_core_and_keeps_what_was_freed_for_ten_seconds() -> None:
    own = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    said = _options(own)
    assert f"opt.narenas: {os.cpu_count()}\n" in said
    assert "opt.dirty_decay_ms: 10000 " in said


def test_what_the_user_chose_for_the_allocator_stays() -> None:
    said = _options({**os.environ, "_RJEM_MALLOC_CONF": "narenas:3"})
    assert "opt.narenas: 3\n" in said
    assert "opt.dirty_decay_ms: 10000 " not in said
