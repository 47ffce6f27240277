"""Materialise a fold's network: load its tensors, train, write weights, configuration and curves."""

import json
import shutil
from dataclasses import asdict
from typing import Any

from safetensors.torch import save

from model.atft_tensors.panel import INDEX, FoldPanel, load_panel
from model.atft_tensors.stage import ASSET as TENSORS
from model.atft_tensors.stage import shard_directory
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.trained_model import checkpoint
from model.trained_model.artefact import ASSET, CONFIG, INSIGHT, METRICS, weights_file
from model.trained_model.ensemble import Member, member_seed, remove_checkpoints, train_ensemble
from model.trained_model.insight import look_into
from model.trained_model.results import Callbacks, Record, TrainResult


def materialise(run: StageRun) -> Manifest:
    """Train the network of the fold that ``run.partition`` names.

    A checkpoint of the same inputs, settings and code, left by a training that was stopped or killed, is continued.

    Raises:
        StoreError: the tensors are not materialised or were altered.
        TrainingStoppedError: the run was asked to stop.
        TrainingError: the training is broken; the message says why.
    """
    if run.partition is None:
        raise ValueError("trained_model is computed for one fold at a time")
    settings = run.settings
    index = run.store.read_json(TENSORS, INDEX, run.partition)
    panel = load_panel(run.store.directory(TENSORS, run.partition), shard_directory(run.store))
    callbacks = _callbacks(run)
    members = train_ensemble(
        panel,
        settings.network,
        settings.training,
        lookback=index["lookback"],
        seed=settings.seed,
        callbacks=callbacks,
    )
    insight = look_into(
        panel,
        settings.network,
        [Member(result.state, result.switches) for result in members],
        lookback=index["lookback"],
        threads=settings.training.threads,
    )
    with run.writer(ASSET) as w:
        for number, result in enumerate(members):
            w.bytes(weights_file(number), save(result.state))
        w.json(CONFIG, _configuration(run, index, panel, members))
        w.json(METRICS, _metrics(members))
        w.json(INSIGHT, insight)
        w.extra |= _summary(members)
    remove_checkpoints(callbacks, len(members))
    _forget_others(callbacks)
    return w.manifest


def _summary(members: tuple[TrainResult, ...]) -> dict[str, Any]:
    """What the manifest says of the training; of members, the first one's epochs."""
    flags = _flags(members)
    first = members[0]
    summary: dict[str, Any] = {"parameters": first.parameter_count, "best_epoch": first.best_epoch}
    summary |= {"epochs": len(first.history), "members": len(members)}
    summary |= {"flags": flags, "flagged": len(flags), "flag_reasons": " ".join(flags)}
    records = [record for result in members for record in result.history]
    summary["seconds_per_epoch"] = [round(float(record["seconds"]), 3) for record in records]
    return summary


def _flags(members: tuple[TrainResult, ...]) -> list[str]:
    """What the guards found, with the member where there are several."""
    several = len(members) > 1
    return [
        f"Member {number}: {flag}" if several else flag
        for number, result in enumerate(members)
        for flag in result.flags
    ]


def _forget_others(callbacks: Callbacks) -> None:
    """Remove what finished trainings of other inputs, settings or code left in this fold's folder."""
    mine = callbacks.checkpoint_dir
    if mine is None or not mine.parent.is_dir():
        return
    for other in mine.parent.iterdir():
        if other != mine and other.is_dir() and not any(other.rglob(checkpoint.FILE)):
            shutil.rmtree(other)


def _callbacks(run: StageRun) -> Callbacks:
    training = run.settings.training
    epochs = sum(phase.epochs for phase in training.phases)

    def on_epoch(record: Record) -> None:
        score = record.get("val_rank_ic")
        member = int(record.get("member", 0))
        note = f"{record['phase']} epoch {record['epoch']}"
        note = f"member {member} {note}" if training.ensemble > 1 else note
        done = member * epochs + int(record["epoch"])
        run.progress(done, training.ensemble * epochs, f"{note}, rank IC {score:.4f}" if score is not None else note)
        if run.events is not None:
            run.events.on_epoch(record)

    if run.events is None:
        return Callbacks(on_epoch=on_epoch)
    same = json_hash(asdict(run.identity))[:16]  # another identity never meets this checkpoint
    return Callbacks(
        on_epoch=on_epoch, should_stop=run.events.should_stop, checkpoint_dir=run.events.checkpoint_dir / same
    )


def _configuration(
    run: StageRun, index: dict[str, Any], panel: FoldPanel, members: tuple[TrainResult, ...]
) -> dict[str, Any]:
    """All that is needed to use the weights, as plain JSON."""
    features = [*index["features"], *index.get("own_features", ())]
    document = {
        "network": asdict(run.settings.network),
        "training": run.settings.training.hashed(),
        "features": features,
        "feature_hash": json_hash(features),
        "horizons": index["horizons"],
        "target_scale": panel.target_scale.tolist(),
        "lookback": index["lookback"],
        "switches": asdict(members[0].switches),
        "parameters": members[0].parameter_count,
        "seed": run.settings.seed,
        "members": [
            {
                "weights": weights_file(number),
                "seed": member_seed(run.settings.seed, number),
                "switches": asdict(result.switches),
            }
            for number, result in enumerate(members)
        ],
    }
    return dict(json.loads(json.dumps(document)))  # tuples become lists, as they will be read back


def _metrics(members: tuple[TrainResult, ...]) -> dict[str, Any]:
    """The curves of the first member, and under ``members`` those of the others."""
    return {**_curves(members[0]), "members": [_curves(result) for result in members[1:]]}


def _curves(result: TrainResult) -> dict[str, Any]:
    """The curves of one training, without what depends on the machine's speed."""
    history = [{name: value for name, value in record.items() if name != "seconds"} for record in result.history]
    return {
        "best_epoch": result.best_epoch,
        "best_rank_ic": result.best_rank_ic,
        "history": history,
        "rates": list(result.rates),
        "flags": list(result.flags),
    }
