"""How hard the machine works on a training: figures of this process, one set an epoch."""

import os
import resource
import sys
import time

_KILOBYTES = 1 if sys.platform == "darwin" else 1024
"""Unit of ``ru_maxrss`` in bytes."""


class MachineMetrics:
    """Figures since the last call, under the names that MLflow shows as system metrics."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._processor = _processor_seconds()

    def read(self) -> dict[str, float]:
        """Processor use of this process (100 is one core), its peak memory, and a GPU's memory where there is one."""
        wall, processor = time.monotonic(), _processor_seconds()
        spent = max(wall - self._wall, 1e-6)
        used = 100.0 * (processor - self._processor) / spent
        self._wall, self._processor = wall, processor
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTES / 2**20
        figures = {
            "system/process_cpu_percentage": used,
            "system/process_peak_memory_megabytes": peak,
            "system/load_average": os.getloadavg()[0],
        }
        return figures | _gpu()


def _processor_seconds() -> float:
    of_self = resource.getrusage(resource.RUSAGE_SELF)
    return of_self.ru_utime + of_self.ru_stime


def _gpu() -> dict[str, float]:
    import torch

    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "system/gpu_memory_usage_megabytes": (total - free) / 2**20,
        "system/gpu_peak_allocated_megabytes": torch.cuda.max_memory_allocated() / 2**20,
    }
