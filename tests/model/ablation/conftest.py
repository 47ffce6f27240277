"""The small panel of the trainer's tests."""

from collections.abc import Callable

import pytest

from model.atft_tensors.panel import FoldPanel
from tests.model.trained_model.conftest import panel_with


@pytest.fixture
def make_panel() -> Callable[..., FoldPanel]:
    """Builds panels of any size."""
    return panel_with
