"""The configuration: good values pass, bad ones say what is wrong."""

import dataclasses
from typing import Any

import pytest

from model.trained_model.network.atft_gat_fan import AtftGatFan
from model.trained_model.network.config import NetworkConfig


def test_the_defaults_are_valid_and_frozen() -> None:
    config = NetworkConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.hidden = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    "bad",
    [
        {"hidden": 0},
        {"hidden": 2, "attention_heads": 1},
        {"hidden": 30},
        {"quantiles": ()},
        {"quantiles": (0.5, 0.25)},
        {"quantiles": (0.0, 0.5)},
        {"quantiles": (0.5, 0.50001)},
        {"quantiles": (0.5, 0.99999)},
        {"dropout": 1.0},
        {"edge_dropout": -0.1},
        {"gat_temperature": 0.0},
        {"gat_hidden": 30},
        {"san_slice": 2},
        {"adaptive_norm": "revin"},
        {"vsn_transform": "loop"},
        {"vsn_transform": "grn", "variable_selection": False},
        {"vsn_transform": "grn", "vsn_width": 3},
        {"recurrence": "gru"},
        {"adaptive_norm": "san", "freq_dropout_p": 0.1},
        {"gat_output_clip": float("nan")},
        {"layer_scale_init": -1.0},
    ],
)
def test_a_value_out_of_bounds_is_named_in_the_error(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"network\.(" + "|".join(bad) + ")"):
        NetworkConfig(**bad)  # type: ignore[arg-type]


def test_pydantic_validates_the_class_as_a_field_and_refuses_unknown_keys() -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(NetworkConfig)
    assert adapter.validate_python({"hidden": 32, "quantiles": [0.1, 0.9]}).quantiles == (0.1, 0.9)
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python({"hiden": 32})
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python({"san_slice": 2})


@pytest.mark.parametrize("adaptive_norm", ["fan", "san", "none"])
@pytest.mark.parametrize("variable_selection", [True, False])
@pytest.mark.parametrize(("graph", "reads_features"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("direct", [True, False])
def test_the_parts_that_settings_know_are_those_of_the_network(
    adaptive_norm: Any, variable_selection: bool, graph: bool, reads_features: bool, direct: bool
) -> None:
    config = NetworkConfig(
        hidden=8,
        gat_hidden=8,
        adaptive_norm=adaptive_norm,
        variable_selection=variable_selection,
        graph=graph,
        gat_reads_features=reads_features,
        direct=direct,
    )
    network = AtftGatFan(config, n_features=3, horizons=(1, 5), lookback=6)
    assert set(config.parts) == set(network.parameter_groups())
