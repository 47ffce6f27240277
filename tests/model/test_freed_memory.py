"""Memory that was freed serves the next arrays."""

import platform
import subprocess
import sys

import pytest

_ROUNDS = """
import resource
import numpy as np
from model.freed_memory import keep_freed_memory

def step():
    arrays = [np.ones(750_000) for _ in range(8)]  # 6 MB each

keep_freed_memory()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is known to trim its heap so")
def test_memory_that_a_step_freed_serves_the_next_one() -> None:
    done = subprocess.run([sys.executable, "-c", _ROUNDS], check=True, capture_output=True, text=True)
    pages_of_a_step = 8 * 6_000_000 // 4096
    assert int(done.stdout) < 0.5 * pages_of_a_step  # of ten steps, mostly none; without the call 40,000
