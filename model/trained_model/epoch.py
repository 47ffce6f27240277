"""What an epoch goes over: the train days in a seeded order, and all validation days."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import TrainingConfig
from model.trained_model.evaluation import rank_ic_by_day, spread_by_day
from model.trained_model.network.atft_gat_fan import PhaseSwitches
from model.trained_model.step import Stepper, run_network
from model.trained_model.surroundings import STREAM_DAYS


class EpochDays:
    """The train days that have labels, and the order in which each epoch takes them.

    The order is a function of seed, phase and epoch alone, so a continued training sees the same one.

    Raises:
        TrainingError: a horizon has no label on the train or validation days, or the days have too few names.
    """

    def __init__(self, panel: FoldPanel, config: TrainingConfig, seed: int) -> None:
        self.seed = seed
        self.days_per_step = config.days_per_batch * config.accumulate
        labelled = {
            role: _labelled(panel, days) for role, days in (("train", panel.train), ("validation", panel.validation))
        }
        for role, counts in labelled.items():
            bare = [h for h, count in zip(panel.horizons, counts.sum(axis=0), strict=True) if not count]
            if bare:
                raise TrainingError(
                    f"The {len(counts)} {role} days have no label at all for horizon {', '.join(map(str, bare))}. "
                    "Check the labels' coverage and that labels.horizons are the ones the data can give."
                )
        _check_validation(labelled["validation"], config.validation_min_names)
        self.days = panel.train[labelled["train"].max(axis=1) >= config.loss.min_names]
        if not len(self.days):
            raise TrainingError(
                f"None of the {len(panel.train)} train days has {config.loss.min_names} labelled stocks, the fewest "
                "that training.loss.min_names lets into a loss."
            )
        self.per_epoch = min(len(self.days), config.days_per_epoch or len(self.days))

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return -(-self.per_epoch // self.days_per_step)

    def steps(self, phase: int, epoch: int) -> Iterator[NDArray[np.int64]]:
        """The days of each step of an epoch; whole epochs are permutations, shorter ones samples of days."""
        seeds = np.random.SeedSequence([self.seed, STREAM_DAYS, phase, epoch])
        order = np.random.Generator(np.random.PCG64(seeds)).permutation(self.days)[: self.per_epoch]
        for start in range(0, len(order), self.days_per_step):
            yield order[start : start + self.days_per_step]


def _labelled(panel: FoldPanel, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """[D, H] number of members with a label."""
    counts: NDArray[np.int64] = (np.isfinite(panel.y[days]) & panel.member[days][:, :, None]).sum(axis=1)
    return counts


def _check_validation(counts: NDArray[np.int64], fewest: int) -> None:
    if not (counts >= fewest).any():
        raise TrainingError(
            f"All {len(counts)} validation days have fewer than {fewest} labelled stocks, so none has a rank IC and "
            "no epoch could be chosen. Lower training.validation_min_names or widen the universe."
        )


def validate(stepper: Stepper, panel: FoldPanel, switches: PhaseSwitches) -> dict[str, float | int | str]:
    """Figures over all validation days: rank IC and spread of predictions against labels, by horizon.

    The stepper's module must be in evaluation mode. A horizon without any day that has a rank IC is left out.

    Raises:
        TrainingError: a prediction is not a number, or memory ran out more often than recovery may try.
    """
    correlations, ratios = [], []
    start = 0
    while start < len(panel.validation):
        days = panel.validation[start : start + stepper.days_per_pass]
        found = stepper.recovered(partial(_predicted, stepper, days, switches))
        if found is None:
            continue
        prediction, label = found
        correlations.append(rank_ic_by_day(prediction, label, min_names=stepper.config.validation_min_names))
        ratios.append(np.stack([spread_by_day(prediction), spread_by_day(label)]))
        start += len(days)
    daily = np.concatenate(correlations)
    spread = np.concatenate(ratios, axis=1)
    record: dict[str, float | int | str] = {}
    for column, horizon in enumerate(panel.horizons):
        values = daily[:, column]
        values = values[np.isfinite(values)]
        if len(values):
            record[f"val_rank_ic_{horizon}"] = float(values.mean())
        record[f"val_days_{horizon}"] = len(values)
        counted = np.isfinite(spread[:, :, column]).all(axis=0)
        of_prediction, of_label = spread[:, counted, column].mean(axis=1)
        if of_label > 0:
            record[f"val_std_ratio_{horizon}"] = float(of_prediction / of_label)
    known = [record[f"val_rank_ic_{h}"] for h in panel.horizons if f"val_rank_ic_{h}" in record]
    if known:
        record["val_rank_ic"] = float(np.mean([float(value) for value in known]))
    return record


@torch.no_grad()
def _predicted(
    stepper: Stepper, days: NDArray[np.int64], switches: PhaseSwitches
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Predictions and labels [D, N, H] of some days, NaN where there is no label."""
    batch = stepper.batches.batch(days, graph=switches.graph)
    point, _, _ = run_network(stepper.module, batch, switches)
    target = batch.pad(stepper.batches.targets(batch), torch.nan)
    known = torch.isfinite(target)
    prediction, label = torch.where(known, point, torch.nan).cpu().numpy(), target.cpu().numpy()
    broken = int((np.isfinite(label) & ~np.isfinite(prediction)).sum())
    if broken:
        raise TrainingError(
            f"{broken} of {int(np.isfinite(label).sum())} predictions on {len(days)} validation days are not finite. "
            "Lower the phase's lr or clip, or train with precision 32; the inputs were finite when they were loaded."
        )
    return prediction, label
