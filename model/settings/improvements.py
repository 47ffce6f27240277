"""Names under which the earlier system knew its improvement switches, and the settings that do what they said.

A preset that still uses one of them is refused with the setting to use: an accepted name that does nothing is how a
system comes to be run in a state that nobody meant.
"""

from collections.abc import Iterable

IMPROVEMENTS: dict[str, str] = {
    "output_head_small_init": "set network.output_head_small_init (true or false)",
    "gat_temperature": "set network.gat_temperature (1.0 is off)",
    "freq_dropout_p": "set network.freq_dropout_p (0.0 is off; needs network.adaptive_norm fan)",
    "use_ema": "set training.ema_decay (such as 0.99; null is off)",
    "ema": "set training.ema_decay (such as 0.99; null is off)",
    "huber_loss": "set training.loss.pointwise_kind (huber or mse) and training.loss.huber_delta",
    "online_normalization": (
        "there is nothing to switch: every day is normalised by its own cross-section (normalization.method), so no "
        "statistic of other days has to be kept up to date"
    ),
    "enable_wandb": "set tracking.uri; every training is recorded in MLflow, and nothing leaves the machine by default",
    "experiment_tracking": "set tracking.uri and tracking.experiment; every training is recorded in MLflow",
    "auto_recover_oom": "set training.auto_recover_oom (true or false)",
    "memory_map": "there is nothing to switch: tensors are memory-mapped, and held on the device where they fit",
    "warmup_steps": "set warmup_epochs of each of training.phases",
    "grad_scaler": "set training.precision (32 or bf16-mixed); bfloat16 needs no scaling of gradients",
    "layerwise_lr_decay": "set training.layerwise_decay",
}
SECTION = "improvements"
"""The section in which they stood."""


def advice(key: str) -> str | None:
    """What to set instead of a former switch; None for a name that was none."""
    return IMPROVEMENTS.get(key)


def advice_for_section(keys: Iterable[str]) -> str:
    """What to set instead of the former section, for each of the switches in it."""
    known = [f"{key}: {IMPROVEMENTS[key]}" for key in keys if key in IMPROVEMENTS]
    return "; ".join(known) or "its switches are settings of network, training and tracking now"
