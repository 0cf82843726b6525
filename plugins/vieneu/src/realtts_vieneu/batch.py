"""Utterances that are drawn together, each to its own end; rows that have ended are left out where that saves time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts_vieneu.drawing import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts.accel.decoder import DecodeLoop
    from realtts_vieneu.drawing import TokenLoop

__all__ = ["Batch"]

_LEFT = 0.75
"""When no more than this share of the rows goes on, the others are left out. That copies keys and values, and a step
costs less without them (int8, one core: 27 ms with one row, 58 with twelve). Twelve sentences of 60 to 200 tokens were
drawn in 11.2 s instead of 13.1."""


class Batch:
    """Some utterances in a loop that has their prompts.

    Args:
        own: Begun; its first rows are the utterances.
        utterances: How many.
        forget: Called before rows are left out: the loop then has not the size any more that it was made for.
    """

    def __init__(self, own: TokenLoop, utterances: int, forget: Callable[[], None]) -> None:
        self._own, self._forget = own, forget
        self._rows = list(range(utterances))
        self._finished, self._stopped = [False] * utterances, [False] * utterances

    @property
    def loop(self) -> DecodeLoop:
        """The toolkit's."""
        return self._own.loop

    def run(self) -> Iterator[Drawn]:
        """Draw until every utterance has ended; whoever stops reading stops the drawing.

        Raises:
            NotFinite: The logits of one were not finite.
        """
        for found in self._own.run():
            yield self._of_utterances(found)
            if all(self._finished):
                return
            self._shrink()

    def stop(self, utterance: int) -> None:
        """End one utterance now; the others go on."""
        if utterance in self._rows:
            self._own.stop(self._rows.index(utterance))

    def _of_utterances(self, found: Drawn) -> Drawn:
        """What is new by utterance; nothing of those that are not drawn any more."""
        count = len(self._finished)
        tokens: list[tuple[int, ...]] = [()] * count
        codes = [torch.zeros(0, dtype=torch.int64)] * count
        for row, utterance in enumerate(self._rows):
            tokens[utterance], codes[utterance] = found.tokens[row], found.codes[row]
            self._finished[utterance], self._stopped[utterance] = found.finished[row], found.stopped[row]
        return Drawn(tuple(tokens), tuple(codes), tuple(self._finished), tuple(self._stopped))

    def _shrink(self) -> None:
        going = [row for row, utterance in enumerate(self._rows) if not self._finished[utterance]]
        if self._own.shrinks and len(going) <= _LEFT * len(self._rows):
            self._forget()
            self._own.keep(going)
            self._rows = [self._rows[row] for row in going]
