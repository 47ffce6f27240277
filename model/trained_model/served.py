"""A trained network as a function of plain arrays, for whoever loads it from a model registry.

The folder holds ``config.json`` and one or several safetensors files, nothing else, so loading unpickles nothing. The
inputs are what the network reads: normalised features, own returns and the graph of one day (or of several days, as
disjoint graphs); ``prediction`` and the quantiles come in the units of the labels.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from model.trained_model.artefact import CONFIG
from model.trained_model.network.atft_gat_fan import AtftGatFan, PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.surroundings import reproducible

Arrays = Mapping[str, NDArray[Any]]


class ServedModel:
    """The network of a fold, or the mean of its members.

    Args:
        config: a fold's ``config.json``.
        weights: one state dictionary a member, in the order of ``config["members"]``.
    """

    def __init__(self, config: Mapping[str, Any], weights: Sequence[Mapping[str, torch.Tensor]]) -> None:
        self.config = config
        self.switches = [PhaseSwitches(**member["switches"]) for member in config["members"]]
        self.scale = np.asarray(config["target_scale"], np.float32)
        self.networks = [_network(config, state) for state in weights]

    def predict(self, inputs: Arrays, params: Mapping[str, Any] | None = None) -> dict[str, NDArray[np.float32]]:
        """Predict B stocks.

        Args:
            inputs: ``x`` float32 [B, L, F], ``own_return`` float32 [B, L], ``edge_index`` int64 [2, E] (positions in B,
                source and target), ``edge_attr`` float32 [E, 4].
            params: not used; registries pass it.

        Returns:
            ``point`` [B, H] and ``quantiles`` [B, H, Q].
        """
        names = ("x", "own_return", "edge_index", "edge_attr")
        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in names]
        points, quantiles = [], []
        with reproducible(0, 1, torch.device("cpu")), torch.no_grad():
            for network, switches in zip(self.networks, self.switches, strict=True):
                output = network(*tensors, switches)
                points.append(output.point.double().numpy())
                quantiles.append(output.quantiles.double().numpy())
        return {
            "point": (np.mean(points, axis=0) * self.scale).astype(np.float32),
            "quantiles": (np.mean(quantiles, axis=0) * self.scale[:, None]).astype(np.float32),
        }


def network_config(document: Mapping[str, Any]) -> NetworkConfig:
    """The network of a stored configuration."""
    fields = dict(document["network"])
    fields["quantiles"] = tuple(fields["quantiles"])
    return NetworkConfig(**fields)


def load(folder: Path) -> ServedModel:
    """The model of a folder with ``config.json`` and the weights that it names."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return ServedModel(config, [load_file(folder / member["weights"]) for member in config["members"]])


def _load_pyfunc(path: str) -> ServedModel:
    """The entry point by which MLflow loads a model whose ``loader_module`` is this module."""
    return load(Path(path))


def _network(config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> AtftGatFan:
    network = AtftGatFan(
        network_config(config), len(config["features"]), tuple(config["horizons"]), int(config["lookback"])
    )
    network.load_state_dict(dict(state), strict=True)
    return network.eval()
