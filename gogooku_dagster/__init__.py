"""Orchestration of gogooku: thin Dagster definitions over the pure library in ``model``."""

import os

POLARS_MEMORY = {"_RJEM_MALLOC_CONF": f"narenas:{os.cpu_count() or 1},dirty_decay_ms:10000"}
"""What polars does with freed memory: a heap a core keeps it for ten seconds, for the next tables.

The allocator inside polars (jemalloc) has four of them a core otherwise, and gives what is freed in one of them back to
the system half a second later. Months of tables that come and go are then faulted in again and again, and the kernel
clears each page. It reads this when polars is loaded, which nothing does before this package; children inherit it. What
the user chose stays, other allocators do not read it, and no value depends on it.
"""

for _name, _value in POLARS_MEMORY.items():
    os.environ.setdefault(_name, _value)
