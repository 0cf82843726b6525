"""The parts of the talker from a checkpoint's tensors, each checked by name and shape and packed as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import Decoder, DecoderConfig, Rope
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
    from realtts_qwen3.sizes import Backbone, Sizes

__all__ = ["Parts", "read_parts"]

_OWN = "talker."
_TALKER = "model."
_PREDICTOR = "code_predictor.model."
_TEXT = "model.text_embedding.weight"

_POSITIONS = 16384
"""Longest prompt with its frames: twice what upstream's limit of new tokens is."""


class Parts(NamedTuple):
    """What `realtts_qwen3.network.Talker` is made of.

    Attributes:
        decoder: The talker's layers.
        head: Its head, (vocabulary, hidden).
        predictor: Draws the other codes of a frame.
        prompts: Lays out utterances.
    """

    decoder: Decoder
    head: Tensor
    predictor: CodePredictor
    prompts: Prompts


def read_parts(
    sizes: Sizes,
    state: Mapping[str, Tensor],
    device: torch.device,
    precision: Precision | str,
    predictor_precision: Precision | str,
    *,
    rows: Sequence[int],
) -> Parts:
    """Read and pack them; errors as `realtts_qwen3.network.Talker.from_state_dict`.

    Args:
        sizes: Of the checkpoint.
        state: Upstream's tensors by their names below ``talker.``.
        device: Where they run.
        precision: Of the talker.
        predictor_precision: Of the code predictor.
        rows: Numbers of rows that frames will have.
    """
    reader = _Reader(sizes, state, device)
    groups = range(sizes.groups - 1)
    tables = [f"model.codec_embedding.{group}.weight" for group in groups]
    others = torch.stack([reader.as_stored(f"code_predictor.{name}") for name in tables])
    codes = CodeEmbedding(reader.as_stored("model.codec_embedding.weight"), others)
    talker = Decoder.from_state_dict(
        _config(sizes.talker), state, prefix=_TALKER, ignore=("codec_embedding.weight", "text_embedding.weight"),
        device=device, precision=precision, rows=rows, max_positions=_POSITIONS,
    )  # fmt: skip
    decoder = Decoder.from_state_dict(
        _config(sizes.predictor), state, prefix=_PREDICTOR, ignore=[name.removeprefix("model.") for name in tables],
        device=device, precision=predictor_precision, rows=rows, max_positions=sizes.groups,
    )  # fmt: skip
    projection = None
    if sizes.predictor.hidden != sizes.talker.hidden:
        projection = decoder.pack(*reader.linear("code_predictor.small_to_mtp_projection"))
    heads = [decoder.pack(reader.read(f"code_predictor.lm_head.{group}.weight")) for group in groups]
    text = TextEmbedding(
        rows_of(state, _TEXT),
        reader.linear("text_projection.linear_fc1"),
        reader.linear("text_projection.linear_fc2"),
    )
    predictor = CodePredictor(decoder, heads, codes, projection)
    prompts = Prompts(text, codes, sizes.ids)
    return Parts(talker, reader.read("codec_head.weight"), predictor, prompts)


class _Reader:
    """The talker's tensors, checked by name and shape before any of them is used.

    Args:
        sizes: Of the checkpoint.
        state: Upstream's tensors.
        device: Where they go.
    """

    def __init__(self, sizes: Sizes, state: Mapping[str, Tensor], device: torch.device) -> None:
        shapes = model_shapes(sizes).items()
        own = {name.removeprefix(_OWN): shape for name, shape in shapes if name.startswith(_OWN)}
        check_shapes(shapes_of(state), own, "talker")
        self._state, self._device = state, device

    def as_stored(self, name: str) -> Tensor:
        """A tensor in the checkpoint's own type."""
        return self._state[name].to(self._device)

    def read(self, name: str) -> Tensor:
        """A tensor as float32."""
        return self.as_stored(name).float()

    def linear(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer."""
        return self.read(f"{name}.weight"), self.read(f"{name}.bias")


def _config(sizes: Backbone) -> DecoderConfig:
    """Upstream's rotary positions have three parts, which are always equal: they are plain ones."""
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
