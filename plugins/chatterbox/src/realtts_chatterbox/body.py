"""What T3's two bodies have in common: the Llama of English and Multilingual, the GPT-2 of Turbo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from realtts.kit.reading import check_names, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

    from realtts.accel.decoder import Decoder, Precision, Taps
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_chatterbox.utterance import Utterance

    Shape = tuple[int | None, ...]

__all__ = ["HEAD", "PREFIX", "Body", "Drawing", "read_beside", "read_tensor"]

PREFIX = "tfmr."
"""Prefix of the names of the decoder's tensors."""

HEAD = "speech_head.weight"
"""The head's weight: packed with the decoder's, so it is read with them."""


@dataclass(frozen=True)
class Drawing:
    """How the rows of one loop of a body draw tokens.

    Attributes:
        order: Names of the logits processors, without guidance.
        next_embedding: As `realtts.accel.decoder.RowLoop` takes it.
        processors: The body's own logits processors by name.
        max_top_k: The largest ``top_k`` of usual requests.
        row_state: What each row has of its own: (rows, ...) each.
        taps: Attention weights that a processor reads.
    """

    order: tuple[str, ...]
    next_embedding: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]
    processors: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = field(default_factory=dict)
    max_top_k: int = 64
    row_state: Mapping[str, Tensor] = field(default_factory=dict)
    taps: Taps | None = None


class Body(Protocol):
    """A decoder with its embeddings and its head.

    Its constructor reads the embeddings and whatever else stays float32; `pack` reads the rest.

    Attributes:
        decoder: The transformer; there after `pack`.
        head: Hidden states to logits; there after `pack`.
        history: Tokens that the repetition penalty counts from the start.
        has_guidance: Whether classifier-free guidance is possible: a second row of the cache, without text.
    """

    decoder: Decoder
    head: PackedLinear
    history: tuple[int, ...]
    has_guidance: bool

    @property
    def most_positions(self) -> int:
        """Most positions of prompt and speech together; known after `pack`."""

    def pack(self, state: Mapping[str, Tensor], precision: Precision | str, cache: PackedCache = ...) -> None:
        """Read the decoder and the head layer by layer, and pack them for the precision; or take them from a cache."""

    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Return voice, text and start: float32 (n, hidden); with ``text=False`` the prompt of the second row."""

    def voice_positions(self, utterance: Utterance) -> int:
        """Return the number of positions that the voice takes, at the beginning of every prompt with it."""

    def positions(self, utterance: Utterance) -> int:
        """Return the number of positions of an utterance's prompt."""

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """Embed drawn tokens (n,) that follow a prompt of ``begin`` positions: float32 (n, hidden)."""

    def beginning(self, utterance: Utterance) -> dict[str, Tensor]:
        """Return an utterance's part of `Drawing.row_state` where it does not begin with 0, by name."""

    def drawing(self, rows: int, *, guided: bool, cap: int) -> Drawing:
        """Describe a loop of so many rows, each of so many slots; with guidance the cache has twice as many rows."""


def read_beside(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, Shape],
    device: torch.device,
    *,
    unused: Collection[str] = (),
    later: Collection[str] = (),
) -> dict[str, Tensor]:
    """Read the tensors beside a body's decoder, in float32.

    Args:
        state: Upstream's tensors by name.
        shapes: Expected shapes by name; None in a shape: any size.
        device: Where they go.
        unused: Names that may be in the state and are not read.
        later: Names that must be in the state, and are read with the decoder's.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """
    beside = {name for name in state if name in shapes or not name.startswith(PREFIX)} - set(unused)
    check_names(beside, shapes, "T3")
    return {name: read_tensor(state, name, shape, device) for name, shape in shapes.items() if name not in later}


def read_tensor(state: Mapping[str, Tensor], name: str, shape: Shape, device: torch.device) -> Tensor:
    """Read one tensor in float32; arguments as of `read_beside`.

    Raises:
        CheckpointMismatch: It has another shape.
    """
    tensor = state[name]
    if len(tensor.shape) != len(shape) or any(w not in {None, n} for n, w in zip(tensor.shape, shape, strict=True)):
        expected = "x".join("any" if size is None else str(size) for size in shape)
        raise mismatch(f"{name} has the shape {tuple(tensor.shape)}, expected {expected}", "T3")
    return tensor.to(device, torch.float32)
