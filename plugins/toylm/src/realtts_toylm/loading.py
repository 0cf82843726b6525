"""A checkpoint's files into the network: every tensor there, none left over, every shape right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import safetensors
import torch
from safetensors.torch import load_file

from realtts.accel.decoder import DecoderConfig
from realtts.kit.reading import MALFORMED, check_names, check_shape, read_json, unreadable
from realtts_toylm.frontend import TEXT_VOCABULARY, VOCABULARY
from realtts_toylm.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["CONFIG", "FILES", "WEIGHTS", "empty_network", "read_network"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FILES = (CONFIG, WEIGHTS)

_WHO, _FIX = "toylm checkpoint", "check that config.json and model.safetensors match"


def read_network(files: Mapping[str, Path], device: str) -> Network:
    """Read the network of a checkpoint in float32.

    Args:
        files: Paths of `FILES`, from `realtts.checkpoints.fetch`.
        device: Where it shall lie.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen, or the configuration is incomplete.
        DecoderError: The configuration is one that the decoder does not support.
    """
    network = empty_network(read_json(files[CONFIG]))
    try:
        state = load_file(files[WEIGHTS])
    except (*MALFORMED, safetensors.SafetensorError) as error:
        raise unreadable(files[WEIGHTS], error) from error
    _check(network, state)
    # Copied out of the mapped file, which else could not be removed; assigned, because the network has no memory yet.
    weights = {name: tensor.to(device, torch.float32, copy=True) for name, tensor in state.items()}
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def empty_network(config: Mapping[str, Any]) -> Network:
    """Make the network of a configuration, without memory for its weights."""
    with torch.device("meta"):
        return Network(DecoderConfig.from_transformers(config), VOCABULARY, TEXT_VOCABULARY)


def _check(network: Network, state: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    check_names(state, expected, _WHO, fix=_FIX)
    for name, tensor in state.items():
        check_shape(name, tensor.shape, expected[name].shape, _WHO, _FIX)
