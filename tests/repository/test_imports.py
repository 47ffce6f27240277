"""Importing the package is light, and the science runs without the orchestration."""

import subprocess
import sys

import pytest


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_settings_load_without_the_libraries_that_compute() -> None:
    assert not loaded_by("import model.settings.presets") & {"torch", "lightgbm", "mlflow", "dagster", "matplotlib"}


def test_the_command_line_starts_without_dagster_and_torch() -> None:
    assert not loaded_by("import gogooku_dagster.cli.main") & {"torch", "lightgbm", "mlflow", "dagster", "polars"}


def test_the_code_location_loads_without_the_libraries_that_compute() -> None:
    assert not loaded_by("import gogooku_dagster.definitions") & {"torch", "lightgbm", "mlflow", "matplotlib"}


@pytest.mark.parametrize("module", ["config", "network.config"])
def test_the_configuration_of_the_trainer_needs_only_the_standard_library(module: str) -> None:
    assert not loaded_by(f"import model.trained_model.{module}") & {"pydantic", "torch", "polars", "numpy"}
