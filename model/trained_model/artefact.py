"""Names of a trained model's files, for whoever reads them without training."""

ASSET = "trained_model"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
METRICS = "metrics.json"
INSIGHT = "insight.json"


def weights_file(member: int) -> str:
    """The weights of a member of an ensemble, counted from 0; the first one's are ``model.safetensors``."""
    return WEIGHTS if member == 0 else f"model_{member}.safetensors"
