"""Qlib's Alpha158 handler on bars in Qlib's own files: seconds and peak memory as one line of JSON.

Run by :mod:`benchmarks.alpha158` with the interpreter of an environment that has pyqlib, and nothing of ours:
``python alpha158_qlib.py FOLDER SAMPLE``. One process, no preprocessing of the columns, so that the features are timed
and nothing else. The last day's values go to ``SAMPLE``, a CSV file, to be compared.
"""

import json
import resource
import sys
import time
from importlib.metadata import version


def main(folder: str, sample: str) -> int:
    """Compute the handler's table once."""
    import qlib
    from qlib.contrib.data.handler import Alpha158

    qlib.init(provider_uri=folder, kernels=1, expression_cache=None, dataset_cache=None, logging_level=30)
    before = peak_memory()
    started, processor = time.perf_counter(), time.process_time()
    handler = Alpha158(instruments="all", infer_processors=[], learn_processors=[])
    table = handler.fetch(col_set="feature")
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    figures = {
        "rows": len(table),
        "columns": table.shape[1],
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_memory_bytes": peak_memory(),
        "peak_memory_before_bytes": before,
        "versions": {name: version(name) for name in ("pyqlib", "pandas", "numpy")},
    }
    last = table.index.get_level_values("datetime").max()
    table.xs(last, level="datetime").reset_index().to_csv(sample, index=False)
    print(json.dumps(figures))
    return 0


def peak_memory() -> int:
    """The most bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
