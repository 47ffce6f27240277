"""Materialise a fold's network: load its tensors, train, write weights, configuration and curves."""

import json
from dataclasses import asdict
from typing import Any

from safetensors.torch import save

from model.atft_tensors.panel import INDEX, load_panel
from model.atft_tensors.stage import ASSET as TENSORS
from model.atft_tensors.stage import shard_directory
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.trained_model import checkpoint
from model.trained_model.artefact import ASSET, CONFIG, METRICS, WEIGHTS
from model.trained_model.results import Callbacks, Record, TrainResult
from model.trained_model.trainer import train


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
    result = train(
        panel,
        settings.network,
        settings.training,
        lookback=index["lookback"],
        seed=settings.seed,
        callbacks=callbacks,
    )
    with run.writer(ASSET) as w:
        w.bytes(WEIGHTS, save(result.state))
        w.json(CONFIG, _configuration(run, index, result))
        w.json(METRICS, _metrics(result))
        w.extra |= {"parameters": result.parameter_count, "best_epoch": result.best_epoch}
        w.extra |= {"epochs": len(result.history), "flags": list(result.flags)}
        w.extra["seconds_per_epoch"] = [round(float(record["seconds"]), 3) for record in result.history]
    if callbacks.checkpoint_dir is not None:
        checkpoint.remove(callbacks.checkpoint_dir)
    return w.manifest


def _callbacks(run: StageRun) -> Callbacks:
    epochs = sum(phase.epochs for phase in run.settings.training.phases)

    def on_epoch(record: Record) -> None:
        score = record.get("val_rank_ic")
        note = f"{record['phase']} epoch {record['epoch']}"
        run.progress(int(record["epoch"]), epochs, f"{note}, rank IC {score:.4f}" if score is not None else note)
        if run.events is not None:
            run.events.on_epoch(record)

    if run.events is None:
        return Callbacks(on_epoch=on_epoch)
    same = json_hash(asdict(run.identity))[:16]  # another identity never meets this checkpoint
    return Callbacks(
        on_epoch=on_epoch, should_stop=run.events.should_stop, checkpoint_dir=run.events.checkpoint_dir / same
    )


def _configuration(run: StageRun, index: dict[str, Any], result: TrainResult) -> dict[str, Any]:
    """All that is needed to use the weights, as plain JSON."""
    features = [*index["features"], *index.get("own_features", ())]
    document = {
        "network": asdict(run.settings.network),
        "training": asdict(run.settings.training),
        "features": features,
        "feature_hash": json_hash(features),
        "horizons": index["horizons"],
        "lookback": index["lookback"],
        "switches": asdict(result.switches),
        "parameters": result.parameter_count,
        "seed": run.settings.seed,
    }
    return dict(json.loads(json.dumps(document)))  # tuples become lists, as they will be read back


def _metrics(result: TrainResult) -> dict[str, Any]:
    """The curves, without what depends on the machine's speed."""
    history = [{name: value for name, value in record.items() if name != "seconds"} for record in result.history]
    return {
        "best_epoch": result.best_epoch,
        "best_rank_ic": result.best_rank_ic,
        "history": history,
        "rates": list(result.rates),
        "flags": list(result.flags),
    }
