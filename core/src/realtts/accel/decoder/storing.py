"""A decoder's layers from packed weights on disk, or packed now and stored for the next start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from realtts.accel.decoder.layers import Layer, packed, sample
from realtts.accel.kernels import PackedLinear, choose_kernel, known_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch
    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel
    from realtts.accel.weights.packed_cache import PackedWeights

    Sampled = dict[int, LayerWeights]

__all__ = ["begin_storing", "choose_decoder_kernel", "pack_layers", "pack_linear"]

_SMALL = ("input_norm", "input_norm_bias", "q_norm", "k_norm", "mlp_norm", "mlp_norm_bias")
_MATRICES = ("qkv", "out", "gate_up", "down")


def choose_decoder_kernel(
    config: DecoderConfig,
    layers: Iterable[LayerWeights],
    precision: str,
    device: torch.device,
    *,
    rows: Sequence[int],
    kernel: str | None = None,
    native: bool = False,
) -> tuple[Kernel, Sampled]:
    """Choose a decoder's kernel; layers are read for it only where it must be measured.

    Args:
        config: Shape of the decoder.
        layers: Its layers, in order.
        precision: As of `realtts.accel.kernels.choose_kernel`, like the rest.
        device: Where the layers lie.
        rows: Numbers of rows of a step.
        kernel: Name of the one kernel to use.
        native: Choose among the kernels of realtts-native instead of torch's.

    Returns:
        The kernel, and the layers that were read, by index.

    Raises:
        QuantizationUnavailable: Nothing of that precision works here.
    """
    known = known_kernel(_shapes(config), precision, device, rows=rows, kernel=kernel, native=native)
    if known is not None:
        return known, {}
    sampled = dict(enumerate(sample(iter(layers))))
    matrices = [matrix for layer in sampled.values() for matrix in layer.matrices]
    return choose_kernel(matrices, precision, rows=rows, kernel=kernel, native=native), sampled


def begin_storing(
    store: PackedWeights, config: DecoderConfig, kernel: Kernel, dtype: torch.dtype, device: torch.device
) -> None:
    """Find stored weights of a decoder, or begin to store them; nothing where the kernel has no stored form.

    Args:
        store: Where they are stored.
        config: Shape of the decoder.
        kernel: Of its weights.
        dtype: Type of the activations.
        device: Where the layers go.
    """
    if kernel.storage is None:
        return
    question = {
        "decoder": repr(config), "kernel": kernel.name, "precision": kernel.precision, "device": kernel.device,
        "layout": kernel.storage.layout, "activations": str(dtype),
    }  # fmt: skip
    store.begin(question, device)


def pack_layers(
    layers: Iterable[LayerWeights],
    sampled: Sampled,
    kernel: Kernel,
    dtype: torch.dtype,
    store: PackedWeights,
) -> Iterator[Layer]:
    """Pack layers one by one, or take them as they are stored, without reading them from the checkpoint.

    Args:
        layers: In order. Of a sequence each is read when it is needed; of another iterable none is stored.
        sampled: From `choose_decoder_kernel`: each is taken out when it is packed.
        kernel: From `choose_decoder_kernel`.
        dtype: Type of the activations.
        store: After `begin_storing`.
    """
    if kernel.storage is None or not isinstance(layers, Sequence):
        rest = layers[len(sampled) :] if isinstance(layers, Sequence) else layers
        for index in sorted(sampled):
            yield packed(sampled.pop(index), kernel, dtype)
        for layer in rest:
            yield packed(layer, kernel, dtype)
        return
    for index in range(len(layers)):

        def tensors(index: int = index) -> dict[str, Tensor]:
            return _tensors(sampled.pop(index) if index in sampled else layers[index], kernel, dtype)

        yield _layer(store.group(f"layer.{index}", tensors), kernel)
        sampled.pop(index, None)


def pack_linear(
    name: str, read: Callable[[], tuple[Tensor, Tensor | None]], kernel: Kernel, store: PackedWeights
) -> PackedLinear:
    """Pack a single layer, or take it as it is stored.

    Args:
        name: Its name in the store.
        read: Reads weight and bias where it is not stored, to the device that will run them.
        kernel: Of the decoder beside it.
        store: After `begin_storing`.
    """
    if kernel.storage is None:
        return PackedLinear(*read(), kernel)
    return PackedLinear.load(store.group(name, lambda: PackedLinear.dump(*read(), kernel)), kernel)


def _shapes(config: DecoderConfig) -> list[tuple[int, int]]:
    """Return the shapes of all layers' matrices, in order."""
    attended = config.heads * config.head_dim
    fused = attended + 2 * config.kv_heads * config.head_dim
    inner = config.mlp_size if config.family == "gpt2" else 2 * config.mlp_size
    hidden = config.hidden_size
    return [(fused, hidden), (hidden, attended), (inner, hidden), (hidden, config.mlp_size)] * config.layers


def _tensors(layer: LayerWeights, kernel: Kernel, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return a layer as plain tensors: its norms, and its matrices prepared for the kernel."""
    small = {name: getattr(layer, name) for name in _SMALL}
    tensors = {name: tensor.detach().to(dtype) for name, tensor in small.items() if tensor is not None}
    gates = layer.gates
    for name in _MATRICES:
        bias, own = getattr(layer, f"{name}_bias"), kernel.in_parts(gates) if name == "gate_up" else kernel
        dumped = PackedLinear.dump(getattr(layer, name), None if bias is None else bias.to(dtype), own)
        tensors.update({f"{name}.{part}": tensor for part, tensor in dumped.items()})
    return tensors


def _layer(tensors: Mapping[str, Tensor], kernel: Kernel) -> Layer:
    """Make a layer of what `_tensors` returned."""
    gates = int(tensors["gate_up.shape"][0]) // int(tensors["down.shape"][1])

    def matrix(name: str, kernel: Kernel = kernel) -> PackedLinear:
        prefix = f"{name}."
        parts = {part[len(prefix) :]: tensor for part, tensor in tensors.items() if part.startswith(prefix)}
        return PackedLinear.load(parts, kernel)

    return Layer(
        input_norm=tensors["input_norm"],
        input_norm_bias=tensors.get("input_norm_bias"),
        qkv=matrix("qkv"),
        q_norm=tensors.get("q_norm"),
        k_norm=tensors.get("k_norm"),
        out=matrix("out"),
        mlp_norm=tensors["mlp_norm"],
        mlp_norm_bias=tensors.get("mlp_norm_bias"),
        gate_up=matrix("gate_up", kernel.in_parts(gates)),
        down=matrix("down"),
    )
