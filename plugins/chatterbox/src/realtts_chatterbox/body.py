"""What T3's two bodies have in common: the Llama of English and Multilingual, the GPT-2 of Turbo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from realtts.kit.reading import check_names, mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Decoder, Taps
    from realtts.accel.kernels import PackedLinear
    from realtts_chatterbox.utterance import Utterance

__all__ = ["PREFIX", "Body", "Drawing", "read_own"]

PREFIX = "tfmr."
"""What stands before the names of the decoder's tensors."""


@dataclass(frozen=True)
class Drawing:
    """How a body's tokens are drawn in one loop.

    Attributes:
        order: Of the processors, without guidance.
        next_embedding: As `realtts.accel.decoder.DecodeLoop` takes it.
        begin: Told of the utterances, one for each stream, before each request.
        own: The body's own processors.
        max_top_k: The usual ``top_k``.
        history: Tokens that the repetition penalty knows from the start.
        row_state: What a step changes.
        taps: Attention that is looked at.
    """

    order: tuple[str, ...]
    next_embedding: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]
    begin: Callable[[Sequence[Utterance]], None]
    own: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)
    max_top_k: int = 64
    history: tuple[int, ...] = ()
    row_state: Mapping[str, Tensor] | None = None
    taps: Taps | None = None


class Body(Protocol):
    """A decoder with its embeddings and its head.

    Attributes:
        decoder: The network.
        head: Hidden states to logits.
        has_guidance: Whether there can be a second row without text.
    """

    decoder: Decoder
    head: PackedLinear
    has_guidance: bool

    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Voice, text and start: float32 (n, hidden); with ``text=False`` that of the second row."""

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """Tokens that were drawn after a prompt of ``begin`` positions, as they are read: (n,) to (n, hidden)."""

    def drawing(self, streams: int, *, guided: bool, cap: int) -> Drawing:
        """For a loop of so many streams and slots."""


def read_own(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int | None, ...]],
    device: torch.device,
    unused: Collection[str] = (),
) -> dict[str, Tensor]:
    """Read what a body has beside its decoder, in float32.

    Args:
        state: Upstream's tensors.
        shapes: Of the wanted tensors; None: any size.
        device: Where they go.
        unused: Names that may be there and are not read.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """
    others = {name for name in state if name in shapes or not name.startswith(PREFIX)} - set(unused)
    check_names(others, shapes, "T3")
    found = {}
    for name, shape in shapes.items():
        tensor = state[name]
        if len(tensor.shape) != len(shape) or any(w not in {None, n} for n, w in zip(tensor.shape, shape, strict=True)):
            wanted = "x".join("any" if size is None else str(size) for size in shape)
            raise mismatch(f"{name} has the shape {tuple(tensor.shape)}, expected {wanted}", "T3")
        found[name] = tensor.to(device, torch.float32)
    return found
