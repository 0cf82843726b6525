"""Where in the text T3 speaks, read off its attention on the device, and the end of speech held back or forced by it.

The multilingual model looks at the text token that it speaks with three heads. Upstream copies their attention to the
host at each step (``models/t3/inference/alignment_stream_analyzer.py`` of github.com/resemble-ai/chatterbox); here the
same decisions are made inside the step, from tensors of fixed size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Taps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["HEADS", "Alignment"]

HEADS = ((12, 15), (13, 11), (9, 2))
"""Layer and head of the three that follow the text."""

_NEVER, _ALWAYS = -(2.0**15), 2.0**15
_LEAST_TEXT = 5
"""Text tokens, begin and end included, below which the end is never held back."""

_TOO_LONG = 5.0
"""Attention, summed over frames of 40 ms, to a text's end, or back to its middle, that counts as a hallucination."""


class Alignment:
    """A logits processor for `SamplingRecipe.own`, with its state and the taps that it reads.

    Args:
        streams: Number of streams.
        rows: Rows of the decoder: one or two per stream, conditional ones first.
        cap: Slots of its cache.
        device: Where it lies.
        text_begin: Slot of the first text token, the same in every row.
        stop: The token that ends speech.
    """

    def __init__(self, streams: int, *, rows: int, cap: int, device: torch.device, text_begin: int, stop: int) -> None:
        self.taps = Taps(HEADS, rows=rows, cap=cap, device=device)
        self._streams, self._begin, self._stop = streams, text_begin, stop
        self._columns = torch.arange(cap - text_begin, device=device)

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(streams, *shape, dtype=dtype, device=device)

        self._length, self._frame, self._position = zeros(), zeros(), zeros()
        self._complete, self._enabled = zeros(dtype=torch.bool), zeros(dtype=torch.bool)
        self._tail, self._again = zeros(3, dtype=torch.float32), zeros(dtype=torch.float32)
        self._tokens = zeros(2)

    @property
    def state(self) -> dict[str, Tensor]:
        """Tensors that a step changes, for `DecodeLoop.row_state`."""
        return {
            "alignment.frame": self._frame,
            "alignment.position": self._position,
            "alignment.complete": self._complete,
            "alignment.tail": self._tail,
            "alignment.again": self._again,
            "alignment.tokens": self._tokens,
        }

    def begin(self, lengths: Sequence[int], enabled: Sequence[bool]) -> None:
        """Start a request.

        Args:
            lengths: Text tokens of each stream, begin and end included.
            enabled: Streams to watch over; the others end as they like.
        """
        for tensor in self.state.values():
            tensor.zero_()
        self._length.copy_(torch.tensor(lengths))
        self._enabled.copy_(torch.tensor(enabled))

    def follow(self, tokens: Tensor) -> None:
        """Take note of the latest tokens, int64 (streams,); called inside the step."""
        self._tokens.copy_(torch.stack([self._tokens[:, 1], tokens], 1))

    def __call__(self, scores: Tensor, step: Tensor) -> Tensor:
        """Hold the end back while text is left; force it when the model repeats itself or does not stop.

        Args:
            scores: float32 (streams, vocabulary), after guidance.
            step: int64 (streams,): tokens drawn so far.
        """
        looks = self._attention()
        current, too_long, repeats = self._update(looks)
        stutters = (step >= 2) & (self._tokens[:, 0] == self._tokens[:, 1])
        early = (current < self._length - 3) & (self._length > _LEAST_TEXT) & self._enabled
        force = (too_long | repeats | stutters) & self._enabled
        stop = torch.arange(scores.shape[1], device=scores.device) == self._stop
        scores = scores.masked_fill(early[:, None] & stop, _NEVER)
        return torch.where(force[:, None], torch.where(stop, _ALWAYS, _NEVER), scores)

    def _attention(self) -> Tensor:
        """The mean over the heads of how much the latest frame looks at each text token, (streams, columns).

        Upstream looks at no text token beyond the number of frames. Of the first frame, that of the prompt, this leaves
        only the beginning of the text, so nothing hangs on its attention, and the taps may be empty then.
        """
        looks = self.taps.step[:, : self._streams, self._begin :].mean(0)
        text = self._columns < self._length[:, None]
        return looks.masked_fill(~(text & (self._columns <= self._frame[:, None])), 0.0)

    def _update(self, looks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Move on by a frame: the text token spoken, whether the end lasts too long, whether the text is repeated."""
        was_complete = self._complete.clone()
        current = looks.argmax(1)
        ahead = current - self._position
        self._position.copy_(torch.where((ahead > -4) & (ahead < 7), current, self._position))
        self._complete.logical_or_(self._position >= self._length - 3)
        from_end = self._length[:, None] - self._columns
        for column in range(3):
            at = (looks * (from_end == 3 - column)).sum(1)
            self._tail[:, column].add_(at * was_complete)
        back = looks.masked_fill(from_end <= 5, 0.0).amax(1)
        self._again.add_(back * was_complete)
        self._frame.add_(1)
        return current, self._complete & (self._tail.amax(1) >= _TOO_LONG), self._complete & (self._again > _TOO_LONG)
