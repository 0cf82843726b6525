"""transformers' language model around a checkpoint's tensors, filled by name, without a second copy of the weights.

``from_pretrained`` goes on when tensors are missing or unexpected. Here a weight without a tensor stays on the device
"meta", and is refused; what the constructors compute (rotary frequencies) is computed as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill, put_tensor
from realtts_vieneu.files import WEIGHTS
from realtts_vieneu.shapes import HEAD
from realtts_vieneu.upstream import module

if TYPE_CHECKING:
    from realtts_vieneu.loading import Weights

__all__ = ["model_of"]

_PREFIX = "model."


def model_of(weights: Weights, device: str) -> Any:
    """Build ``AutoModelForCausalLM`` of the checkpoint's configuration, float32, in evaluation mode.

    Raises:
        CheckpointMismatch: transformers wants other tensors than the checkpoint has.
        CheckpointCorrupt: A tensor cannot be read.
        MissingExtra: transformers is not installed.
    """
    auto = module("transformers.models.auto")
    config = dict(weights.sizes.config)
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        configuration = auto.AutoConfig.for_model(config.pop("model_type"), **config)
        network = auto.AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
    state = weights.model_state
    fill(network.model, state, device, f"file {WEIGHTS!r}", prefix=_PREFIX)
    if weights.sizes.tied:
        network.lm_head.weight = network.model.embed_tokens.weight
    else:
        put_tensor(network, HEAD, state[HEAD].to(device, torch.float32))
    network.requires_grad_(requires_grad=False).eval()
    return network
