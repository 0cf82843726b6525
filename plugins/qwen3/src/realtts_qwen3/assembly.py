"""The parts of the talker from a checkpoint's tensors: what keeps its precision, and what is packed as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Rope
from realtts.accel.weights.packed_cache import NO_CACHE, PackedCache
from realtts.accel.weights.tensorfile import rows_of, shapes_of
from realtts.kit.reading import check_shapes
from realtts_qwen3.embedding import CodeEmbedding, TextEmbedding
from realtts_qwen3.predictor import CodePredictor
from realtts_qwen3.prompt import Prompts
from realtts_qwen3.shapes import model_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.weights.packed_cache import PackedWeights
    from realtts_qwen3.sizes import Backbone, Sizes

__all__ = ["Networks", "pack_networks", "read_prompts"]

_PREFIX = "talker."
_TALKER = "model."
_PREDICTOR = "code_predictor.model."
_TEXT = "model.text_embedding.weight"

_POSITIONS = 16384
"""Longest prompt with its frames: twice what upstream's limit of new tokens is."""


class Networks(NamedTuple):
    """The packed networks of `realtts_qwen3.network.Talker`.

    Attributes:
        decoder: The talker's layers.
        head: The talker's head.
        predictor: Draws the other codes of a frame.
    """

    decoder: Decoder
    head: PackedLinear
    predictor: CodePredictor


def read_prompts(sizes: Sizes, state: Mapping[str, Tensor], device: torch.device) -> Prompts:
    """Read what no precision changes: the embeddings of text and codes, and the projection of the text.

    Args:
        sizes: Sizes of the checkpoint.
        state: Upstream's tensors by their names below ``talker.``. The text embedding is not read where the mapping
            has ``rows(name, ids)``.
        device: Device of the talker.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """
    reader = _Reader(sizes, state, device)
    others = torch.stack([reader.as_stored(f"code_predictor.{name}") for name in _code_tables(sizes)])
    codes = CodeEmbedding(reader.as_stored("model.codec_embedding.weight"), others)
    text = TextEmbedding(
        rows_of(state, _TEXT),
        reader.linear("text_projection.linear_fc1"),
        reader.linear("text_projection.linear_fc2"),
    )
    return Prompts(text, codes, sizes.ids)


def pack_networks(
    sizes: Sizes,
    state: Mapping[str, Tensor],
    codes: CodeEmbedding,
    precision: Precision | str,
    predictor_precision: Precision | str,
    *,
    rows: Sequence[int],
    cache: PackedCache = NO_CACHE,
) -> Networks:
    """Read and pack the talker and its code predictor, a layer at a time, so that no weight lies in memory twice.

    Args:
        sizes: Sizes of the checkpoint.
        state: Upstream's tensors by their names below ``talker.``.
        codes: Embedding of the codes, on the device that the networks run on.
        precision: Precision of the talker.
        predictor_precision: Precision of the code predictor.
        rows: Numbers of rows that frames will have.
        cache: Where packed weights are kept.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        QuantizationUnavailable: Nothing of that precision works here.
    """
    device = codes.first.device
    reader = _Reader(sizes, state, device)
    with cache.open(state, "talker") as store:
        talker = Decoder.from_state_dict(
            _config(sizes.talker), state, prefix=_TALKER, ignore=("codec_embedding.weight", "text_embedding.weight"),
            device=device, precision=precision, rows=rows, max_positions=_POSITIONS, store=store,
        )  # fmt: skip
        head = talker.pack_stored("head", lambda: (reader.read("codec_head.weight"), None))
    with cache.open(state, "predictor") as store:
        predictor = _predictor(sizes, state, reader, codes, store, precision=predictor_precision, rows=rows)
    return Networks(talker, head, predictor)


def _predictor(
    sizes: Sizes,
    state: Mapping[str, Tensor],
    reader: _Reader,
    codes: CodeEmbedding,
    store: PackedWeights,
    *,
    precision: Precision | str,
    rows: Sequence[int],
) -> CodePredictor:
    decoder = Decoder.from_state_dict(
        _config(sizes.predictor), state, prefix=_PREDICTOR,
        ignore=[name.removeprefix("model.") for name in _code_tables(sizes)],
        device=codes.first.device, precision=precision, rows=rows, max_positions=sizes.groups, store=store,
    )  # fmt: skip
    projection = None
    if sizes.predictor.hidden != sizes.talker.hidden:
        name = "code_predictor.small_to_mtp_projection"
        projection = decoder.pack_stored("projection", lambda: reader.linear(name))
    heads = [
        decoder.pack_stored(f"head.{group}", lambda group=group: (reader.read(_head(group)), None))  # type: ignore[misc]
        for group in range(sizes.groups - 1)
    ]
    return CodePredictor(decoder, heads, codes, projection)


def _head(group: int) -> str:
    return f"code_predictor.lm_head.{group}.weight"


class _Reader:
    """The talker's tensors, checked by name and shape before any of them is used.

    Args:
        sizes: Sizes of the checkpoint.
        state: Upstream's tensors.
        device: Device that they go to.
    """

    def __init__(self, sizes: Sizes, state: Mapping[str, Tensor], device: torch.device) -> None:
        expected = model_shapes(sizes).items()
        shapes = {name.removeprefix(_PREFIX): shape for name, shape in expected if name.startswith(_PREFIX)}
        check_shapes(shapes_of(state), shapes, "talker")
        self._state, self._device = state, device

    def as_stored(self, name: str) -> Tensor:
        """Read a tensor in the checkpoint's dtype."""
        return self._state[name].to(self._device)

    def read(self, name: str) -> Tensor:
        """Read a tensor as float32."""
        return self.as_stored(name).float()

    def linear(self, name: str) -> tuple[Tensor, Tensor]:
        """Read weight and bias of a layer as float32."""
        return self.read(f"{name}.weight"), self.read(f"{name}.bias")


def _code_tables(sizes: Sizes) -> list[str]:
    """Return the names of the embeddings of a frame's later codes, below ``code_predictor.``."""
    return [f"model.codec_embedding.{group}.weight" for group in range(sizes.groups - 1)]


def _config(sizes: Backbone) -> DecoderConfig:
    # Upstream's rotary positions have three parts (MRoPE), which are always equal here: they are plain ones.
    return DecoderConfig(
        layers=sizes.layers,
        hidden_size=sizes.hidden,
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        mlp_size=sizes.intermediate,
        norm_eps=sizes.norm_eps,
        qk_norm=True,
        rope=Rope(sizes.rope_theta),
    )
