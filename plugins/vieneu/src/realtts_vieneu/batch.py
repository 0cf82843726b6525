"""Utterances that are drawn together, each to its own end; ended rows are left out where that saves time."""

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
"""Ended rows are left out once no more than this share of the rows goes on: a step costs less with fewer rows (int8,
one core: 27 ms with one row, 58 with twelve), but the loop serves no other batch then. Twelve sentences of 60 to 200
tokens were drawn in 11.2 s instead of 13.1."""


class Batch:
    """Some utterances in a loop that has read their prompts.

    Args:
        tokens: The loop, begun; its first rows are the utterances.
        utterances: Number of utterances.
        forget: Called before rows are left out, because the loop then no longer has the size that it was made for.
    """

    def __init__(self, tokens: TokenLoop, utterances: int, forget: Callable[[], None]) -> None:
        self._tokens, self._forget = tokens, forget
        self._rows = list(range(utterances))
        self._finished, self._stopped = [False] * utterances, [False] * utterances

    @property
    def loop(self) -> DecodeLoop:
        """The toolkit's loop."""
        return self._tokens.loop

    def run(self) -> Iterator[Drawn]:
        """Draw until every utterance has ended; whoever stops reading stops the drawing.

        Raises:
            NotFinite: The logits of one were not finite.
        """
        for drawn in self._tokens.run():
            yield self._by_utterance(drawn)
            if all(self._finished):
                return
            self._shrink()

    def stop(self, utterance: int) -> None:
        """End one utterance now; the others go on."""
        if utterance in self._rows:
            self._tokens.stop(self._rows.index(utterance))

    def _by_utterance(self, drawn: Drawn) -> Drawn:
        """Sort what was drawn by utterance; those that are no longer drawn have nothing new."""
        count = len(self._finished)
        tokens: list[tuple[int, ...]] = [()] * count
        codes = [torch.zeros(0, dtype=torch.int64)] * count
        for row, utterance in enumerate(self._rows):
            tokens[utterance], codes[utterance] = drawn.tokens[row], drawn.codes[row]
            self._finished[utterance], self._stopped[utterance] = drawn.finished[row], drawn.stopped[row]
        return Drawn(tuple(tokens), tuple(codes), tuple(self._finished), tuple(self._stopped))

    def _shrink(self) -> None:
        going = [row for row, utterance in enumerate(self._rows) if not self._finished[utterance]]
        if self._tokens.shrinks and len(going) <= _LEFT * len(self._rows):
            self._forget()
            self._tokens.keep(going)
            self._rows = [self._rows[row] for row in going]
