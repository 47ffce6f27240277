"""One training from its first to its last epoch, in one process (or as one of several that share the days)."""

import math
import time
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model import checkpoint, guards
from model.trained_model.batches import DayBatches
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.epoch import EpochDays, validate
from model.trained_model.frozen import frozen_parts
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, Record, TrainingStoppedError, TrainResult
from model.trained_model.schedule import rate
from model.trained_model.standing import Standing, joined, packed_tally, under, unpacked_tally
from model.trained_model.step import Forward, Parts, Stepper, Tally, active
from model.trained_model.surroundings import (
    STREAM_EPOCHS,
    STREAM_WEIGHTS,
    derived_seed,
    random_states,
    reproducible,
    restore_random_states,
)


def train_here(
    fabric: Any,
    panel: FoldPanel,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    lookback: int,
    seed: int,
    callbacks: Callbacks,
) -> TrainResult:
    """Train in this process; see ``trainer.train``. Torch's global state is put back afterwards."""
    with reproducible(derived_seed(seed, STREAM_WEIGHTS), training.threads, fabric.device):
        session = Session(panel, network, training, fabric, lookback=lookback, seed=seed, callbacks=callbacks)
        session.resume()
        return session.run()


class Session:
    """One training from start to end; everything that a checkpoint must hold is in ``standing`` and the tensors."""

    def __init__(
        self,
        panel: FoldPanel,
        network: NetworkConfig,
        training: TrainingConfig,
        fabric: Any,
        *,
        lookback: int,
        seed: int,
        callbacks: Callbacks,
    ) -> None:
        self.panel = panel
        self.config = training
        self.network_config = network
        self.fabric = fabric
        self.callbacks = callbacks
        self.seed = seed
        self.batches = DayBatches(panel, lookback, fabric.device)
        self.days = EpochDays(panel, training, seed)
        self.network = AtftGatFan(network, len(panel.features), panel.horizons, lookback)
        self.network.activation_checkpointing = training.activation_checkpointing
        forward = Forward(self.network)
        self.module = fabric.setup_module(torch.compile(forward, dynamic=True) if training.compile else forward)
        self.parts = Parts(self.network)
        self.stepper = Stepper(fabric, self.module, self.parts, self.batches, network.quantiles, training)
        self.standing = Standing()
        self.tally = Tally()
        self.parameter_count = self.network.parameter_count()
        self.frozen = [frozen_parts(phase, network) for phase in training.phases]
        self.optimizer = self._enter_phase()
        self.saved = time.monotonic()
        self.average = self._copy() if training.ema_decay else None
        self.best = self._copy()
        self.kept = self.best
        keyed = callbacks.checkpoint_dir is not None
        self.key = checkpoint.training_key(panel, network, training, lookback=lookback, seed=seed) if keyed else ""

    def run(self) -> TrainResult:
        """The phases that are left, then the result.

        Raises:
            TrainingStoppedError: ``should_stop`` said so.
            TrainingError: a guard stopped the training.
        """
        while self.standing.phase < len(self.config.phases):
            phase = self.config.phases[self.standing.phase]
            while self.standing.epoch < phase.epochs and self.standing.stale < phase.patience:
                self._epoch(phase)
                self._save()
            self._finish(phase)
        s = self.standing
        return TrainResult(
            state={name: value.to("cpu").clone() for name, value in self.kept.items()},
            history=s.history,
            best_epoch=s.kept_total,
            best_rank_ic=math.nan if s.kept is None else s.kept,
            switches=active(self.network_config, self.config.phases[s.kept_phase]),
            parameter_count=self.parameter_count,
            flags=tuple(s.flags.values()),
            rates=tuple(s.rates),
        )

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        directory = self.callbacks.checkpoint_dir
        found = None if directory is None else checkpoint.load(directory, self.key)
        if found is None:
            return
        tensors, state = found
        self.standing = Standing.of(state)
        self.stepper.halvings = self.standing.halvings
        self.optimizer = self._enter_phase()
        self._load(under(tensors, "weights"))
        self.best = self._placed(under(tensors, "best"))
        self.kept = self._placed(under(tensors, "kept"))
        if self.average is not None:
            self.average = self._placed(under(tensors, "average"))
        self.tally = unpacked_tally(self.standing.tally, self._placed(under(tensors, "tally")))
        self._restore_optimizer(under(tensors, "optimizer"))
        restore_random_states(under(tensors, "random"), self.fabric.device)

    def _epoch(self, phase: PhaseConfig) -> None:
        """One epoch (or what a stopped run left of it): train, validate, record."""
        began = time.perf_counter()
        s = self.standing
        switches = active(self.network_config, phase)
        self._steps(phase, switches)
        tally = self.tally
        record: Record = {"phase": phase.name, "epoch": s.total + 1, "phase_epoch": s.epoch + 1}
        record |= {"lr_first": s.rates[-s.done], "lr_last": s.rates[-1], **self._gradients(tally)}
        if switches.graph:
            record["gate_alpha"] = float(self.network.fusion.alpha.detach())
        if self.frozen[s.phase]:
            record["frozen"] = ", ".join(sorted(self.frozen[s.phase]))
        record |= self._validate(switches)
        s.done, self.tally = 0, Tally()
        self._flag(guards.judge_epoch(record, switches, self.frozen[s.phase], self.config.guards))
        self._judge(record)
        record |= {"days_per_pass": self.stepper.days_per_pass, "seconds": time.perf_counter() - began}
        s.history.append(record)
        self._keep_epoch(record)
        if self.fabric.is_global_zero:
            self.callbacks.on_epoch(dict(record))

    def _steps(self, phase: PhaseConfig, switches: PhaseSwitches) -> None:
        """The optimiser steps that are left of the epoch in hand."""
        s = self.standing
        self.module.train()
        if self.fabric.world_size > 1:  # each draws masks of its own, and no checkpoint holds the states of all
            torch.manual_seed(derived_seed(self.seed, STREAM_EPOCHS, self.fabric.global_rank, s.phase, s.epoch))
        for days in islice(self.days.steps(s.phase, s.epoch), s.done, None):
            if self._asked_to_stop():
                kept = self._save_inside_epoch()
                raise TrainingStoppedError(
                    f"Training was asked to stop in phase {phase.name}, after {s.total} whole epochs"
                    f"{f' and {s.done} steps' if kept else ''}. Run it again to continue from there."
                )
            self._set_rate(phase)
            loss, norm = self.stepper.take(self.optimizer, days, switches, phase.clip, self.tally)
            epoch, step = s.total + 1, s.done + 1
            guards.stop_if_not_finite(loss, norm, phase=phase.name, epoch=epoch, step=step)
            guards.stop_if_exploding(norm, self.config.guards, phase=phase.name, epoch=epoch, step=step)
            self._update_average()
            s.done += 1
            if time.monotonic() - self.saved > 60 * self.config.checkpoint_minutes:
                self._save_inside_epoch()

    def _asked_to_stop(self) -> bool:
        """The first process asks; all hear the same answer."""
        if self.fabric.world_size == 1:
            return self.callbacks.should_stop()
        asked = self.fabric.is_global_zero and self.callbacks.should_stop()
        return bool(self.fabric.all_reduce(torch.tensor(float(asked), device=self.fabric.device), reduce_op="sum"))

    def _gradients(self, tally: Tally) -> Record:
        """Means of losses and root mean squares of gradient norms over the epoch's steps."""
        assert tally.squares is not None
        if self.fabric.world_size > 1:
            tally.share_among(self.fabric)
        record: Record = {f"loss_{name}": float(value) / tally.steps for name, value in tally.losses.items()}
        norms = (tally.squares / tally.steps).sqrt().tolist()
        for name, norm in zip(self.parts.gradient_names, norms, strict=True):
            record[f"gradient_{name}"] = norm
        record["loss"] = record.pop("loss_total")
        record["gradient_norm"] = math.sqrt(sum(norm**2 for norm in norms[: len(self.parts.names)]))
        record["gradient_norm_max"] = float(tally.longest) if tally.longest is not None else 0.0
        record["edges_per_step"] = tally.edges / tally.steps
        record["steps"] = tally.steps
        return record

    def _validate(self, switches: PhaseSwitches) -> Record:
        """Validation figures of the weights that would be kept (the moving average, where there is one)."""
        mine = self._copy() if self.average is not None else None
        if self.average is not None:
            self._load(self.average)
        self.module.eval()
        record = validate(self.stepper, self.panel, switches)
        if mine is not None:
            self._load(mine)
        return record

    def _judge(self, record: Record) -> None:
        """Early stopping: is this epoch the phase's best?"""
        s = self.standing
        score = record.get("val_rank_ic")
        s.epoch += 1
        s.total += 1
        if isinstance(score, float) and (s.best is None or score > s.best):
            s.best, s.best_total, s.stale = score, s.total, 0
            self.best = self._copy() if self.average is None else {k: v.clone() for k, v in self.average.items()}
        else:
            s.stale += 1

    def _finish(self, phase: PhaseConfig) -> None:
        """End a phase: guard, restore its best weights, make the next one's optimiser."""
        s = self.standing
        if s.epoch:
            self._judge_predictions(phase)
            better = s.best is not None and (s.kept is None or s.best > s.kept)
            if self.config.keep == "last_phase" or better:
                self.kept, s.kept, s.kept_total, s.kept_phase = self.best, s.best, s.best_total, s.phase
            self._load(self.best)
            self.average = {k: v.clone() for k, v in self.best.items()} if self.average is not None else None
        s.phase, s.epoch, s.step, s.stale, s.best = s.phase + 1, 0, 0, 0, None
        self.optimizer = self._enter_phase()

    def _judge_predictions(self, phase: PhaseConfig) -> None:
        """Guards of the predictions with which a phase ends: those of its best weights, to which it returns."""
        s = self.standing
        best = s.history[-1 if s.best is None else s.best_total - 1]
        ratios = {h: float(best.get(f"val_std_ratio_{h}", math.nan)) for h in self.panel.horizons}
        broken = guards.degenerate_horizons(ratios, self.config.guards)
        if broken and s.best is None:
            raise TrainingError(guards.unranked_message(broken, phase.name, self.config.guards))
        self._flag(guards.judge_predictions(ratios, phase.name, self.config.guards))

    def _flag(self, found: dict[str, str]) -> None:
        """Note what a guard found, once a phase."""
        phase = self.config.phases[self.standing.phase].name
        for guard, message in found.items():
            self.standing.flags.setdefault(f"{phase}: {guard}", message)

    def _set_rate(self, phase: PhaseConfig) -> None:
        s = self.standing
        per_epoch = self.days.steps_per_epoch
        warmup = round(phase.warmup_epochs * per_epoch)
        value = rate(s.step, phase.epochs * per_epoch, warmup, phase.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = value * group["factor"]
        s.rates.append(value)
        s.step += 1

    def _enter_phase(self) -> Any:
        """Set up the phase in hand: its losses, its frozen parts, and an optimiser of its own for the others."""
        at = self.standing.phase
        if at < len(self.config.phases):
            loss = self.config.loss.of_phase(self.config.phases[at].loss)
            self.stepper.loss, self.stepper.horizon_weights = loss, loss.weights_of(self.panel.horizons)
        self.parts.freeze(self.network, self.frozen[at] if at < len(self.frozen) else ())
        groups = self.parts.blocks(self.network, self.config.layerwise_decay)
        optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=self.config.weight_decay, fused=True)
        return self.fabric.setup_optimizers(optimizer)

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        state = self.optimizer.state_dict()
        for name, value in tensors.items():
            index, _, entry = name.partition(".")
            state["state"].setdefault(int(index), {})[entry] = value
        self.optimizer.load_state_dict(state)

    def _save_inside_epoch(self) -> bool:
        """Checkpoint between two steps. Several processes, each with a share of the tally, only do so after epochs."""
        alone: bool = self.fabric.world_size == 1
        if alone:
            self._save()
        return alone

    def _save(self) -> None:
        self.saved = time.monotonic()
        directory = self.callbacks.checkpoint_dir
        if directory is None or not self.fabric.is_global_zero:
            return
        s = self.standing
        s.halvings = self.stepper.halvings
        optimizer = {
            f"{index}.{entry}": value
            for index, entries in self.optimizer.state_dict()["state"].items()
            for entry, value in entries.items()
        }
        s.tally, sums = packed_tally(self.tally)
        tensors = {
            "weights": self.network.state_dict(),
            "best": self.best,
            "kept": self.kept,
            "average": self.average or {},
            "optimizer": optimizer,
            "tally": sums,
            "random": random_states(self.fabric.device),
        }
        checkpoint.save(directory, self.key, joined(tensors), s.plain())

    def _keep_epoch(self, record: Record) -> None:
        """Keep the weights of the best epochs beside the checkpoint."""
        directory, most, s = self.callbacks.checkpoint_dir, self.config.keep_checkpoints, self.standing
        if directory is None or not most or "val_rank_ic" not in record or not self.fabric.is_global_zero:
            return
        s.best_epochs = checkpoint.best_epochs([*s.best_epochs, (float(record["val_rank_ic"]), s.total)], most)
        weights = self._copy() if self.average is None else self.average
        checkpoint.keep_epoch(directory, self.key, weights, record, [epoch for _, epoch in s.best_epochs])

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = self.config.ema_decay
        if self.average is None or decay is None:
            return
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def _placed(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.to(self.fabric.device) for name, value in tensors.items()}

    def _load(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(tensors, strict=True)
