"""How much memory a process held at most."""

import resource
import sys
from pathlib import Path


def reset_peak_memory() -> None:
    """Let the largest resident set be counted anew from here, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # elsewhere the largest set of the whole process is reported, which is never too small


def peak_memory_bytes() -> int:
    """The largest resident set of this process, since the last reset where resets are possible."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return 1024 * int(status.split("VmHWM:", 1)[1].split(None, 1)[0])
