"""Names of a trained model's files, for whoever reads them without training."""

ASSET = "trained_model"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
METRICS = "metrics.json"
