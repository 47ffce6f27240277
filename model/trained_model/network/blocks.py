"""Work in blocks that fit a CPU's cache, where the arrays between one step and the next would not."""

import torch


def blocks(rows: int, together: int, device: torch.device) -> list[slice]:
    """Slices of all rows, at least one: ``together`` rows at a time on a CPU, all of them at once on a GPU.

    A GPU has no cache that they would fit, and would wait for the many small operations.
    """
    step = max(1, together if device.type == "cpu" else rows)
    return [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]
