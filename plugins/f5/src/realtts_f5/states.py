"""The tensors of upstream's files by upstream's names, without what its training puts around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from realtts.accel.weights.tensorfile import Tensors, check_named, read_pickled, read_state
from realtts.kit.shards import is_index

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.accel.weights.tensorfile import State

__all__ = ["model_state"]

_PREFIX = "ema_model."
_COUNTERS = ("initted", "step", "update")
_MEL = "mel_spec."


def model_state(path: Path) -> Tensors:
    """Open the network's tensors of a checkpoint of upstream's training, by upstream's names below ``ema_model.``.

    What upstream drops is dropped: counters of the training, and the mel spectrogram's filters in old files.

    Args:
        path: ``.safetensors``, the index of its parts, or ``.pt`` as upstream's trainer saves it, of which the averaged
            weights are taken, or the last ones if it has no others.

    Raises:
        CheckpointCorrupt: It cannot be read.
    """
    state = read_state(path) if path.suffix == ".safetensors" or is_index(path) else _trained(path)
    names = {name.removeprefix(_PREFIX): name for name in state}
    weights = {name: there for name, there in names.items() if name not in _COUNTERS and not name.startswith(_MEL)}
    return Tensors(state, names=weights)


def _trained(path: Path) -> State:
    """Open what upstream's trainer saved, and find the averaged or the last weights in it."""
    content = read_pickled(path)
    for key in ("ema_model_state_dict", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    check_named(content, path)
    state: State = content
    return state
