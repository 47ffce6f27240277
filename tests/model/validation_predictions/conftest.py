"""A fold trained for an epoch on the hand-written store of the atft_tensors tests."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from model.atft_tensors import stage as tensors
from model.trained_model import stage as model
from model.trained_model.config import LossConfig, PhaseConfig, TrainingConfig
from model.trained_model.network.config import NetworkConfig
from model.validation_predictions.settings import PredictionSettings


def _upstream_module() -> Any:
    path = Path(__file__).parents[1] / "atft_tensors" / "conftest.py"
    spec = importlib.util.spec_from_file_location("atft_tensors_upstream", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prepared(tmp_path: Path) -> Any:
    """The store with tensors of the fold ``wf_a``, and settings for a training of seconds."""
    module = _upstream_module()
    made = module.Upstream(tmp_path)
    made.write_fold("wf_a", 0, module.ROLES, rebalances=(0, 10, 30))
    made.settings.network = NetworkConfig(
        hidden=8, gat_hidden=8, vsn_width=4, attention_heads=2, gat_heads=2, fan_top_k=2, quantiles=(0.05, 0.5, 0.95)
    )
    made.settings.training = TrainingConfig(
        phases=(
            PhaseConfig(name="baseline", epochs=1, lr=5e-3, graph=False),
            PhaseConfig(name="gat", epochs=1, lr=1e-3),
        ),
        days_per_batch=4,
        accelerator="cpu",
        validation_min_names=5,
        loss=LossConfig(min_names=3),
    )
    made.settings.predictions = PredictionSettings()
    tensors.materialise(made.run("wf_a"))
    return made


@pytest.fixture
def trained(prepared: Any) -> Any:
    """The same with the network trained."""
    model.materialise(prepared.run("wf_a"))
    return prepared
