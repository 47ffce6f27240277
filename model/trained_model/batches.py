"""Batches of whole days, gathered by index from the panel.

The panel lies on the training device once when it fits, else in host memory. A window is a view of it (strides, no
copy); only the windows of the batch at hand are gathered. The graphs of the batch's days are joined into one
disjoint graph over the batch's rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError

_RESIDENT_SHARE = 0.5
"""Largest share of a device's free memory that the panel may take."""


@dataclass(frozen=True)
class Batch:
    """D whole days, B = all their stocks stacked day by day, padded to N stocks a day where losses need it.

    ``x`` [B, L, F], ``own_return`` [B, L], ``edge_index`` [2, E] into B, ``edge_attr`` [E, A], ``slot`` [B] position
    of a row in the flattened [D, N] rectangle, ``day`` and ``code`` [B] positions in the panel, ``shape`` (D, N).
    """

    x: Tensor
    own_return: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    slot: Tensor
    day: Tensor
    code: Tensor
    shape: tuple[int, int]

    def pad(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """[B, ...] to [D, N, ...]; places without a stock hold ``fill``."""
        days, names = self.shape
        blank = rows.new_full((days * names, *rows.shape[1:]), fill)
        padded: Tensor = blank.index_copy(0, self.slot, rows).unflatten(0, (days, names))
        return padded


class DayBatches:
    """The panel as tensors, and the batches cut from it.

    Args:
        panel: the fold's panel; its arrays are shared, not copied, unless they move to another device.
        lookback: L, days in a window, the day itself included.
        device: where batches are wanted.
    """

    def __init__(self, panel: FoldPanel, lookback: int, device: torch.device) -> None:
        self.device = device
        self.home = device if _fits(panel, device) else torch.device("cpu")
        self.lookback = lookback
        self.codes = len(panel.codes)
        x = torch.from_numpy(panel.x).to(self.home)
        own = torch.from_numpy(panel.own_return).to(self.home)
        days, names, features = x.shape
        self._check(panel, days)
        starts = days - lookback + 1
        # [start, code, L, F] and [start, code, L]: views, entry (s, n) is the window of days s … s + L - 1
        self._windows = torch.as_strided(
            x, (starts, names, lookback, features), (names * features, features, names * features, 1)
        )
        self._own_windows = torch.as_strided(own, (starts, names, lookback), (names, 1, names))
        self.member = torch.from_numpy(panel.member).to(self.home)
        self.graph_start = torch.from_numpy(panel.graph_start).to(self.home)
        self.graph_ptr = torch.from_numpy(panel.graph_ptr).to(self.home)
        self.edge_index = torch.from_numpy(panel.edge_index).to(self.home)
        self.edge_attr = torch.from_numpy(panel.edge_attr).to(self.home)
        self.target = _scaled_targets(panel).to(self.home)

    def batch(self, days: NDArray[np.int64], *, graph: bool) -> Batch:
        """The batch of some days (positions in the panel); without a graph the edges are empty.

        Raises:
            TrainingError: a day has no stock in the universe.
        """
        at = torch.from_numpy(np.ascontiguousarray(days)).to(self.home)
        member = self.member[at]
        row_day, code = member.nonzero(as_tuple=True)
        counts = member.sum(1)
        widest, fewest = torch.stack([counts.max(), counts.min()]).tolist()
        if not fewest:
            raise TrainingError(
                f"{int((counts == 0).sum())} of {len(days)} days of a batch have no stock in the universe. The fold's "
                "train, validation and test days need members; check atft_tensors' coverage."
            )
        first = counts.cumsum(0) - counts
        slot = row_day * widest + torch.arange(len(code), device=self.home) - first[row_day]
        day = at[row_day]
        start = day - self.lookback + 1
        edges, attributes = self._edges(at, row_day, code) if graph else self._no_edges()
        move = self.device
        return Batch(
            x=self._windows[start, code].to(move),
            own_return=self._own_windows[start, code].to(move),
            edge_index=edges.to(move),
            edge_attr=attributes.to(move),
            slot=slot.to(move),
            day=day.to(move),
            code=code.to(move),
            shape=(len(days), int(widest)),
        )

    def targets(self, batch: Batch) -> Tensor:
        """[B, H] scaled targets of a batch's rows, NaN where there is no label."""
        return self.target[batch.day.to(self.home), batch.code.to(self.home)].to(self.device)

    def _no_edges(self) -> tuple[Tensor, Tensor]:
        return self.edge_index[:, :0], self.edge_attr[:0]

    def _edges(self, at: Tensor, row_day: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """The graph in force on each day, restricted to the day's stocks and renumbered to the batch's rows."""
        graph = torch.searchsorted(self.graph_start, at, right=True) - 1
        known = graph >= 0
        graph = graph.clamp_min(0)
        if not len(self.graph_start):
            return self._no_edges()
        begin = self.graph_ptr[graph]
        number = (self.graph_ptr[graph + 1] - begin) * known
        day = torch.arange(len(at), device=self.home).repeat_interleave(number)
        offset = begin - (number.cumsum(0) - number)
        position = torch.arange(len(day), device=self.home) + offset[day]
        row = torch.full((len(at), self.codes), -1, dtype=torch.int64, device=self.home)
        row[row_day, code] = torch.arange(len(code), device=self.home)
        ends = row.flatten()[day * self.codes + self.edge_index.index_select(1, position)]
        keep = (ends >= 0).all(0).nonzero().squeeze(1)
        return ends.index_select(1, keep), self.edge_attr.index_select(0, position.index_select(0, keep))

    def _check(self, panel: FoldPanel, days: int) -> None:
        used = np.concatenate([panel.train, panel.validation, panel.test])
        if len(used) and (used.min() < self.lookback - 1 or used.max() >= days):
            raise TrainingError(
                f"The panel has {days} days and uses days {used.min()} to {used.max()}, but a window of "
                f"{self.lookback} days needs {self.lookback - 1} earlier ones. Rebuild atft_tensors with this lookback."
            )


def _scaled_targets(panel: FoldPanel) -> Tensor:
    """[T, N, H]: labels of members, less their mean of the day, over the training scale; NaN where missing."""
    there = panel.member[:, :, None] & np.isfinite(panel.y)
    means = np.stack([_day_means(panel.y[:, :, h], there[:, :, h]) for h in range(len(panel.horizons))], axis=1)
    scaled = (panel.y - means.astype(np.float32)[:, None]) / panel.target_scale
    scaled[~there] = np.nan
    return torch.from_numpy(scaled)


def _day_means(y: NDArray[np.float32], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[T] means of the values that are there, added up one after the other in float64.

    A sum along an axis groups its terms by their places, so that a code that joins the universe later, and is a column
    from the first day on, would move the last digit of every earlier day's mean, and with it the weights.
    """
    day = there.nonzero()[0]
    number = np.bincount(day, minlength=len(y))
    return np.bincount(day, weights=y[there], minlength=len(y)) / np.maximum(number, 1)


def _fits(panel: FoldPanel, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    arrays = (panel.x, panel.own_return, panel.member, panel.y, panel.edge_index, panel.edge_attr)
    return sum(array.nbytes for array in arrays) <= _RESIDENT_SHARE * free
