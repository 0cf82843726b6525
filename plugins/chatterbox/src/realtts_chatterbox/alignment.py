"""Follow T3's place in the text by its attention, and hold the end token back or force it accordingly.

Three heads of the multilingual model attend to the text token that is being spoken. Upstream copies their attention to
the host at each step (``models/t3/inference/alignment_stream_analyzer.py`` of github.com/resemble-ai/chatterbox); here
the same decisions are made inside the step, on the device, from tensors of fixed size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Taps
from realtts.accel.indexed import store

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HEADS", "Alignment"]

HEADS = ((12, 15), (13, 11), (9, 2))
"""Layer and head of the three attention heads that follow the text."""

_NEVER, _ALWAYS = -(2.0**15), 2.0**15
_LEAST_TEXT = 5
"""With so few text tokens, begin and end included, the end is never held back."""

_SPOKEN = 3
"""A text is spoken once one of its last tokens is, so many of them."""

_TOO_LONG = 5.0
"""Attention, summed over frames of 40 ms, to the end of a text that is spoken, or back to its middle: more of it
counts as a hallucination. As much of it does at the end."""

_FRAME, _BEFORE, _LATEST = 2, 5, 6
"""Columns of a row's numbers, see `Alignment`."""


class Alignment:
    """A logits processor for `SamplingRecipe.own`, with its state and the attention taps that it reads.

    Args:
        rows: Number of rows.
        cache_rows: Rows of the decoder's cache: one or two for each row, conditional ones first.
        cap: Slots of the cache.
        device: Where it lies.
        text_begin: Slot of the first text token, the same in every row.
        stop: The token that ends speech.

    Attributes:
        state: What a row has of its own, by name, (rows, ...) each, for `RowLoop.row_state`. A row begins with zeros
            beside what `beginning` returns. Numbers, which are read and written together: text tokens, whether it is
            watched, frames, the place in the text, whether that is spoken, the last token but one, and the last one.
            Sums of attention after that: to each of the text's last tokens, and back to its middle.
    """

    def __init__(
        self, rows: int, *, cache_rows: int, cap: int, device: torch.device, text_begin: int, stop: int
    ) -> None:
        self.taps = Taps(HEADS, rows=cache_rows, cap=cap, device=device)
        self._begin, self._stop = text_begin, stop
        self._columns = torch.arange(cap - text_begin, device=device)
        self._last = torch.arange(_SPOKEN, device=device)[:, None]
        self._limits = torch.full((_SPOKEN + 1,), _TOO_LONG, device=device)
        self._limits[-1:] = torch.nextafter(self._limits[-1:], self._limits.new_full((1,), math.inf))
        self._numbers = torch.zeros(rows, _LATEST + 1, dtype=torch.int64, device=device)
        self._sums = torch.zeros(rows, _SPOKEN + 1, device=device)
        self.state = {"alignment.numbers": self._numbers, "alignment.sums": self._sums}

    @staticmethod
    def beginning(length: int, *, watched: bool) -> dict[str, Tensor]:
        """Return how a row begins, where it does not begin with zeros.

        Args:
            length: Its number of text tokens, begin and end included.
            watched: Whether it is watched; if not it ends whenever its end token is drawn.
        """
        return {"alignment.numbers": torch.tensor([length, int(watched), *[0] * (_LATEST - 1)])}

    def follow(self, tokens: Tensor, rows: Tensor) -> None:
        """Remember the last two tokens of some rows; called inside the step with int64 (n,) each."""
        store(self._numbers[:, _BEFORE:], rows, torch.stack([self._numbers[rows, _LATEST], tokens], 1))

    def __call__(self, scores: Tensor, step: Tensor, rows: Tensor) -> Tensor:
        """Hold the end back while text is left; force it when the model repeats itself or does not stop.

        Args:
            scores: float32 (n, vocabulary), after guidance.
            step: int64 (n,): tokens drawn so far.
            rows: int64 (n,): those that are drawn.
        """
        length, watched, frame, position, spoken, before, latest = self._numbers.index_select(0, rows).unbind(1)
        end = length - _SPOKEN
        attention = self._attention(frame, end, rows)
        current = attention.argmax(1)
        # Attention that leaps far ahead or back is noise: the position stays.
        ahead = current - position
        position = torch.where(ahead.clamp(-3, 6) == ahead, current, position)
        too_much = self._added(attention, end, spoken, rows)
        moved = torch.stack([frame + 1, position, spoken | (position >= end)], 1)
        store(self._numbers[:, _FRAME:_BEFORE], rows, moved)
        watch = watched.bool()
        # Of few text tokens the end is never held back.
        early = (current.clamp(min=_LEAST_TEXT - _SPOKEN) < end) & watch
        force = (too_much | ((step >= 2) & (before == latest))) & watch
        stop = scores[:, self._stop].masked_fill(early, _NEVER).masked_fill(force, _ALWAYS)
        scores = scores.masked_fill(force[:, None], _NEVER)
        scores[:, self._stop] = stop
        return scores

    def _attention(self, frame: Tensor, end: Tensor, rows: Tensor) -> Tensor:
        """Return the attention of the latest frame to each text token, averaged over the heads: (n, columns).

        Upstream ignores text tokens beyond the number of frames. Of the first frame, that of the prompt, this leaves
        only the beginning of the text, so nothing depends on its attention, and the taps may be empty then.
        """
        # The cache's conditional rows come first, one for each row: (heads, rows, slots) -> (n, columns).
        attention = self.taps.step[:, rows, self._begin :].mean(0)
        furthest = torch.minimum(frame, end + (_SPOKEN - 1))
        return attention.masked_fill(self._columns > furthest[:, None], 0.0)

    def _added(self, attention: Tensor, end: Tensor, spoken: Tensor, rows: Tensor) -> Tensor:
        """Add the attention of a frame behind the text's end, and return where it is too much, bool (n,).

        Where nothing was spoken yet nothing is added, and nothing is too much.
        """
        behind = self._columns - end[:, None]  # (n, columns): 0 is the first of the text's last tokens
        ends = (attention[:, None] * (behind[:, None] == self._last)).sum(2)  # (n, 1, c) * (n, 3, c) -> (n, 3)
        again = attention.masked_fill(behind >= -2, 0.0).amax(1, keepdim=True)
        sums = self._sums.index_select(0, rows) + torch.cat([ends, again], 1) * spoken[:, None]
        store(self._sums, rows, sums)
        return (sums >= self._limits).any(1)
