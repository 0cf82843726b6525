"""Reading a decoder's weights from a state dict: nothing missing, nothing left over, every shape right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from realtts.accel.decoder.naming import naming_of
from realtts.kit.reading import check_names, check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import torch
    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.weights import LayerWeights

__all__ = ["ReadLayers", "read_layers"]

_WHO, _FIX = "decoder weights", "check that checkpoint and configuration belong together"


class ReadLayers(Sequence["LayerWeights"]):
    """The layers of a checkpoint; each is read when it is asked for, and again the next time.

    Args:
        count: How many there are.
        read: Reads one.
    """

    def __init__(self, count: int, read: Callable[[int], LayerWeights]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> LayerWeights: ...

    @overload
    def __getitem__(self, index: slice) -> ReadLayers: ...

    def __getitem__(self, index: int | slice) -> LayerWeights | ReadLayers:
        numbers = range(self._count)[index]
        if isinstance(numbers, range):
            return ReadLayers(len(numbers), lambda at: self._read(numbers[at]))
        return self._read(numbers)


def read_layers(
    config: DecoderConfig,
    state: Mapping[str, Tensor],
    prefix: str,
    ignore: Collection[str] = (),
    device: torch.device | str = "cpu",
) -> tuple[ReadLayers, Tensor, Tensor | None]:
    """Read the layers, the final norm and its bias of a checkpoint in transformers' naming.

    A layer is read when it is asked for: a mapping that reads tensors from a file as they are asked for never
    has more than one layer in memory. Names are checked at once, shapes as they come.

    Args:
        config: Shape of the decoder.
        state: Tensors by name.
        prefix: Prefix of ``layers.0.`` and ``norm.weight``, or ``h.0.`` and ``ln_f.weight``, such as ``"model."``.
        ignore: Names below the prefix that belong to something else, such as ``embed_tokens.weight``.
        device: Where the tensors go.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """
    naming, shapes = naming_of(config), _shapes(config)
    names = {name.removeprefix(prefix) for name in state if name.startswith(prefix)}
    names = {name for name in names if name not in ignore and not name.endswith(naming.computed)}
    check_names(names, shapes, _WHO, prefix=prefix, fix=_FIX)

    def read(name: str) -> Tensor:
        tensor = state[prefix + name]
        check_shape(prefix + name, tensor.shape, shapes[name], _WHO, _FIX)
        return tensor.to(device)

    def layer(index: int) -> LayerWeights:
        return naming.layer(config, lambda name: read(f"{naming.layers}{index}.{name}"))

    bias = read(f"{naming.norm}.bias") if f"{naming.norm}.bias" in shapes else None
    return ReadLayers(config.layers, layer), read(f"{naming.norm}.weight"), bias


def _shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    naming = naming_of(config)
    layer = naming.shapes(config)
    shapes = {f"{naming.layers}{n}.{name}": shape for n in range(config.layers) for name, shape in layer.items()}
    shapes[f"{naming.norm}.weight"] = (config.hidden_size,)
    if config.family == "gpt2":
        shapes[f"{naming.norm}.bias"] = (config.hidden_size,)
    return shapes
