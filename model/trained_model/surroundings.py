"""What torch keeps globally, set for the length of a training and put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from model.freed_memory import keep_freed_memory

STREAM_WEIGHTS = 101
STREAM_DAYS = 102
STREAM_EPOCHS = 103


def derived_seed(seed: int, *stream: int) -> int:
    """A 63-bit seed of its own for one use of randomness."""
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def reproducible(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Seeded generators, a fixed number of threads and, on a CPU, deterministic kernels only.

    The caller's generators, thread count and flags are as before when the block ends, however it ends. Deterministic
    kernels are not demanded of a GPU: the graph attention's scatter has none, so there two runs agree to rounding.
    """
    flags = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    before = torch.get_num_threads()
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            torch.manual_seed(seed)
            torch.set_num_threads(threads)
            if device.type == "cpu":
                keep_freed_memory()
                torch.use_deterministic_algorithms(True, warn_only=False)
                # filling fresh memory guards against reads of it; every tensor here is written first
                torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            yield
        finally:
            torch.use_deterministic_algorithms(flags[0], warn_only=flags[1])
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
            torch.set_num_threads(before)


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's generators, as byte tensors."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Continue the generators where ``random_states`` found them."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
