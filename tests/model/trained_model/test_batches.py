"""Batches: windows, targets, graphs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.batches import DayBatches

LOOKBACK = 6
CPU = torch.device("cpu")


def test_windows_end_on_their_own_day_and_are_views_of_the_panel(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel()
    batches = DayBatches(panel, LOOKBACK, CPU)
    batch = batches.batch(np.array([9, 7]), graph=False)
    row = 0
    for day in (9, 7):
        for code in np.flatnonzero(panel.member[day]):
            assert np.array_equal(batch.x[row].numpy(), panel.x[day - LOOKBACK + 1 : day + 1, code])
            assert np.array_equal(batch.own_return[row].numpy(), panel.own_return[day - LOOKBACK + 1 : day + 1, code])
            row += 1
    assert row == len(batch.x)
    assert batches._windows.untyped_storage().data_ptr() == panel.x.ctypes.data


def test_targets_are_demeaned_within_the_day_and_scaled(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel()
    batches = DayBatches(panel, LOOKBACK, CPU)
    batch = batches.batch(np.array([12, 20]), graph=False)
    padded = batch.pad(batches.targets(batch), torch.nan).numpy()
    for number, day in enumerate((12, 20)):
        y = panel.y[day][panel.member[day]].astype(np.float64)
        expected = (y - np.nanmean(y, axis=0)) / panel.target_scale
        found = padded[number, : len(expected)]
        assert np.allclose(found, expected, atol=1e-5, equal_nan=True)
        assert np.isnan(padded[number, len(expected) :]).all()


def test_a_code_that_joins_later_moves_no_bit_of_the_days_before(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel(names=33)
    joins = 25
    kept = np.delete(np.arange(33), [4, 20])
    later = panel.member.copy()
    later[:joins, [4, 20]] = False
    whole = replace(panel, member=later)
    fewer = replace(
        panel,
        codes=tuple(panel.codes[code] for code in kept),
        x=panel.x[:, kept].copy(),
        present=panel.present[:, kept],
        y=panel.y[:, kept],
        own_return=panel.own_return[:, kept].copy(),
        member=later[:, kept],
    )
    days = np.arange(LOOKBACK, joins)
    found, expected = (
        batches.targets(batches.batch(days, graph=False))
        for batches in (DayBatches(each, LOOKBACK, CPU) for each in (whole, fewer))
    )
    assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_each_day_has_the_graph_in_force_restricted_to_its_members(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel()
    batches = DayBatches(panel, LOOKBACK, CPU)
    days = np.array([25, 8])
    batch = batches.batch(days, graph=True)
    found = {
        (int(batch.day[s]), int(batch.code[s]), int(batch.code[t]), round(float(a), 6))
        for (s, t), a in zip(batch.edge_index.T, batch.edge_attr[:, 0], strict=True)
    }
    assert (batch.day[batch.edge_index[0]] == batch.day[batch.edge_index[1]]).all()
    expected = set()
    for day in days:
        graph = int(np.searchsorted(panel.graph_start, day, side="right")) - 1
        for edge in range(panel.graph_ptr[graph], panel.graph_ptr[graph + 1]):
            source, target = panel.edge_index[:, edge]
            if panel.member[day, source] and panel.member[day, target]:
                weight = round(float(panel.edge_attr[edge, 0]), 6)
                expected.add((int(day), int(source), int(target), weight))
    assert found == expected
    assert len(found) == batch.edge_index.shape[1] > 0


def test_days_before_the_first_graph_have_no_edges(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel()
    late = replace(panel, graph_start=np.array([30, 35], np.int64))
    assert DayBatches(late, LOOKBACK, CPU).batch(np.array([10, 12]), graph=True).edge_index.shape == (2, 0)
    none = replace(
        panel,
        graph_start=np.zeros(0, np.int64),
        graph_ptr=np.zeros(1, np.int64),
        edge_index=np.zeros((2, 0), np.int64),
        edge_attr=np.zeros((0, 4), np.float32),
    )
    assert DayBatches(none, LOOKBACK, CPU).batch(np.array([10]), graph=True).edge_index.shape == (2, 0)


def test_a_day_without_members_raises(make_panel: Callable[..., FoldPanel]) -> None:
    panel = make_panel()
    member = panel.member.copy()
    member[10] = False
    with pytest.raises(TrainingError, match="1 of 2 days"):
        DayBatches(replace(panel, member=member), LOOKBACK, CPU).batch(np.array([10, 11]), graph=False)


def test_a_panel_with_too_little_history_is_refused(make_panel: Callable[..., FoldPanel]) -> None:
    with pytest.raises(TrainingError, match="window of 7 days"):
        DayBatches(make_panel(), LOOKBACK + 1, CPU)
