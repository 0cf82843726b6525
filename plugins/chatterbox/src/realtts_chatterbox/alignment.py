"""Follow T3's place in the text by its attention, and hold the end token back or force it accordingly.

Three heads of the multilingual model attend to the text token that is being spoken. Upstream copies their attention to
the host at each step (``models/t3/inference/alignment_stream_analyzer.py`` of github.com/resemble-ai/chatterbox); here
the same decisions are made inside the step, on the device, from tensors of fixed size.
"""

from __future__ import annotations

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

_TOO_LONG = 5.0
"""Attention, summed over frames of 40 ms, to the end of a text that is spoken, or back to its middle: more of it
counts as a hallucination."""


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
            beside what `beginning` returns.
    """

    def __init__(
        self, rows: int, *, cache_rows: int, cap: int, device: torch.device, text_begin: int, stop: int
    ) -> None:
        self.taps = Taps(HEADS, rows=cache_rows, cap=cap, device=device)
        self._begin, self._stop = text_begin, stop
        self._columns = torch.arange(cap - text_begin, device=device)

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(rows, *shape, dtype=dtype, device=device)

        self._length, self._frame, self._position = zeros(), zeros(), zeros()
        self._complete, self._watched = zeros(dtype=torch.bool), zeros(dtype=torch.bool)
        self._tail, self._again = zeros(3, dtype=torch.float32), zeros(dtype=torch.float32)
        self._tokens = zeros(2)
        self.state = {
            "alignment.length": self._length,
            "alignment.watched": self._watched,
            "alignment.frame": self._frame,
            "alignment.position": self._position,
            "alignment.complete": self._complete,
            "alignment.tail": self._tail,
            "alignment.again": self._again,
            "alignment.tokens": self._tokens,
        }

    @staticmethod
    def beginning(length: int, *, watched: bool) -> dict[str, Tensor]:
        """Return how a row begins, where it does not begin with zeros.

        Args:
            length: Its number of text tokens, begin and end included.
            watched: Whether it is watched; if not it ends whenever its end token is drawn.
        """
        return {"alignment.length": torch.tensor(length), "alignment.watched": torch.tensor(watched)}

    def follow(self, tokens: Tensor, rows: Tensor) -> None:
        """Remember the last two tokens of some rows; called inside the step with int64 (n,) each."""
        store(self._tokens, rows, torch.stack([self._tokens[rows, 1], tokens], 1))

    def __call__(self, scores: Tensor, step: Tensor, rows: Tensor) -> Tensor:
        """Hold the end back while text is left; force it when the model repeats itself or does not stop.

        Args:
            scores: float32 (n, vocabulary), after guidance.
            step: int64 (n,): tokens drawn so far.
            rows: int64 (n,): those that are drawn.
        """
        length, watched, tokens = self._length[rows], self._watched[rows], self._tokens[rows]
        current, too_long, repeats = self._update(self._attention(length, rows), length, rows)
        stutters = (step >= 2) & (tokens[:, 0] == tokens[:, 1])
        early = (current < length - 3) & (length > _LEAST_TEXT) & watched
        force = (too_long | repeats | stutters) & watched
        stop = torch.arange(scores.shape[1], device=scores.device) == self._stop
        scores = scores.masked_fill(early[:, None] & stop, _NEVER)
        return torch.where(force[:, None], torch.where(stop, _ALWAYS, _NEVER), scores)

    def _attention(self, length: Tensor, rows: Tensor) -> Tensor:
        """Return the attention of the latest frame to each text token, averaged over the heads: (n, columns).

        Upstream ignores text tokens beyond the number of frames. Of the first frame, that of the prompt, this leaves
        only the beginning of the text, so nothing depends on its attention, and the taps may be empty then.
        """
        # The cache's conditional rows come first, one for each row: (heads, rows, slots) -> (n, columns).
        attention = self.taps.step[:, rows, self._begin :].mean(0)
        text = self._columns < length[:, None]
        return attention.masked_fill(~(text & (self._columns <= self._frame[rows, None])), 0.0)

    def _update(self, attention: Tensor, length: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Move on by a frame.

        Returns:
            Each (n,): the text token that is spoken, whether the end lasts too long, whether text is repeated.
        """
        was_complete, position = self._complete[rows], self._position[rows]
        current = attention.argmax(1)
        # Attention that leaps far ahead or back is noise: the position stays.
        ahead = current - position
        position = torch.where((ahead > -4) & (ahead < 7), current, position)
        complete = was_complete | (position >= length - 3)
        from_end = length[:, None] - self._columns
        ends = [(attention * (from_end == 3 - column)).sum(1) * was_complete for column in range(3)]
        tail = self._tail[rows] + torch.stack(ends, 1)
        again = self._again[rows] + attention.masked_fill(from_end <= 5, 0.0).amax(1) * was_complete
        for tensor, value in (
            (self._position, position), (self._complete, complete), (self._tail, tail), (self._again, again),
            (self._frame, self._frame[rows] + 1),
        ):  # fmt: skip
            store(tensor, rows, value)
        return current, complete & (tail.amax(1) >= _TOO_LONG), complete & (again > _TOO_LONG)
