"""One naming for the codec's tensors, that of transformers' ``NeuCodecModel``; those of upstream's package are renamed.

Upstream's repository keeps ``pytorch_model.bin`` in the names of the neucodec package's own classes, without w2v-bert,
which that package fetches by itself. The rules follow the two packages' modules and the script that converts one file
into the other, which transformers keeps in its repository and not in its wheel. Three things are not a matter of names:

- The package has queries, keys and values in one tensor. Their rows are not reordered as that script does for its
  rotary positions: both are turned by the same angles, whichever pairs these turn, so that no product changes.
- Where weight norm was folded by whoever saved the file, its parts may lie beside the weight: the package takes the
  weight, and so does this.
- Filters and windows follow from their sizes; what only training needs is left out, as the package does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch

from realtts.errors import CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

__all__ = ["Lazy", "named"]

_WHO, _FIX = "codec", "give NeuCodec's own files: model.safetensors of transformers, or the package's pytorch_model.bin"

_NATIVE = ("acoustic_decoder.", "acoustic_encoder.", "semantic_encoder.", "semantic_adapter.", "fc_encoder.",
           "quantizer.")  # fmt: skip
"""What names of transformers' class begin with."""

_UNIT = ("snake1", "conv1", "snake2", "conv2")
_BLOCK = ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1")
_ADAPTER = {"initial_conv": "conv1", "residual_blocks.1": "conv2", "residual_blocks.3": "conv3", "final_conv": "conv4"}
_LAYER = {"att_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "att.c_proj": "self_attn.o_proj",
          "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}  # fmt: skip

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(rf"{pattern}\."), rename)
    for pattern, rename in (
        (r"generator\.backbone\.transformers\.(\d+)\.(att_norm|ffn_norm|att\.c_proj|mlp\.fc[12])",
         lambda match: f"acoustic_decoder.layers.{match[1]}.{_LAYER[match[2]]}"),
        (r"generator\.backbone\.final_layer_norm", lambda _: "acoustic_decoder.norm"),
        (r"generator\.backbone\.(embed|(?:prior|post)_net\.\d+\.(?:norm|conv)[12])",
         lambda match: f"acoustic_decoder.{match[1]}"),
        (r"generator\.head\.out", lambda _: "acoustic_decoder.head.linear"),
        (r"generator\.quantizer\.(project_in|project_out)", lambda match: f"quantizer.{match[1]}"),
        (r"fc_post_a", lambda _: "acoustic_decoder.fc"),
        (r"fc_prior", lambda _: "fc_encoder"),
        (r"SemanticEncoder_module\.(initial_conv|residual_blocks\.[13]|final_conv)",
         lambda match: f"semantic_adapter.{_ADAPTER[match[1]]}"),
        (r"CodecEnc\.conv_blocks\.0", lambda _: "acoustic_encoder.conv1"),
        (r"CodecEnc\.conv_final_block\.0\.act", lambda _: "acoustic_encoder.snake1.act"),
        (r"CodecEnc\.conv_final_block\.1", lambda _: "acoustic_encoder.conv2"),
        (r"CodecEnc\.conv_blocks\.([1-9]\d*)\.block\.([34])(\.act)?",
         lambda match: f"{_block(match)}{match[3] or ''}"),
        (r"CodecEnc\.conv_blocks\.([1-9]\d*)\.block\.([012])\.block\.([0-3])(\.act)?",
         lambda match: f"{_block(match)}.{_UNIT[int(match[3])]}{match[4] or ''}"),
    )
)  # fmt: skip
"""What comes before a tensor's last name, in the package and in transformers."""

_FUSED = re.compile(r"generator\.backbone\.transformers\.(\d+)\.att\.c_attn\.weight")
_UNUSED = re.compile(
    r"(fc_post_s|SemanticDecoder)|\.(upsample|downsample\.lowpass)\.filter$|^generator\.head\.istft\.window$"
)
_LENGTH, _DIRECTION = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)


def named(state: Mapping[str, Tensor], semantic: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
    """Return the same tensors by transformers' names, each read when it is needed.

    Args:
        state: Of ``model.safetensors`` or of the package's ``pytorch_model.bin``.
        semantic: Of w2v-bert-2.0, by the names of transformers' ``Wav2Vec2BertModel``, where the state lacks it.

    Raises:
        CheckpointMismatch: A tensor is of neither naming; names it.
    """
    makers: dict[str, Callable[[], Tensor]] = {}
    for name in state:
        if name.startswith(_NATIVE):
            makers[name] = partial(state.__getitem__, name)
        elif not _UNUSED.search(name):
            makers.update(_renamed(state, name))
    for name in semantic or ():
        makers[f"semantic_encoder.{name}"] = partial((semantic or {}).__getitem__, name)
    return Lazy(makers)


class Lazy(Mapping[str, "Tensor"]):
    """Tensors that are made when they are needed, anew each time.

    Args:
        makers: By name.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> Tensor:
        return self._makers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._makers  # Mapping's own would make the tensor to see whether it is there

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _renamed(state: Mapping[str, Tensor], name: str) -> dict[str, Callable[[], Tensor]]:
    """Rename one tensor of the package: it becomes one, three or, where it is part of another, none."""
    if name.startswith("semantic_model."):
        return {name.replace("semantic_model.", "semantic_encoder.", 1): partial(state.__getitem__, name)}
    if fused := _FUSED.fullmatch(name):
        layer = f"acoustic_decoder.layers.{fused[1]}.self_attn"
        return {f"{layer}.{kind}_proj.weight": _part(state, name, place) for place, kind in enumerate("qkv")}
    for pattern, rename in _RULES:
        if match := pattern.match(name):
            return _last(state, name, rename(match), name[match.end() :])
    raise CheckpointMismatch(f"the tensor {name} is of no NeuCodec that is known here", who=_WHO, fix=_FIX)


def _last(state: Mapping[str, Tensor], name: str, before: str, last: str) -> dict[str, Callable[[], Tensor]]:
    stem = name[: -len(last)]
    if last in _DIRECTION:
        return {}
    if last in _LENGTH:
        direction = stem + _DIRECTION[_LENGTH.index(last)]
        if f"{stem}weight" in state:
            return {}
        if direction not in state:
            raise CheckpointMismatch(f"the tensor {direction} is missing", who=_WHO, fix=_FIX)
        return {f"{before}.weight": lambda: torch._weight_norm(state[direction], state[name], 0)}
    return {f"{before}.{last}": partial(state.__getitem__, name)}


def _part(state: Mapping[str, Tensor], name: str, place: int) -> Callable[[], Tensor]:
    def make() -> Tensor:
        parts = state[name].chunk(3) if state[name].ndim else ()
        if len(parts) < 3:
            what = f"the tensor {name} has the shape {tuple(state[name].shape)}, and holds three"
            raise CheckpointMismatch(what, who=_WHO, fix=_FIX)
        return parts[place]

    return make


def _block(match: re.Match[str]) -> str:
    return f"acoustic_encoder.block.{int(match[1]) - 1}.{_BLOCK[int(match[2])]}"
