"""A sentence that is being spoken: its codes so far, and whether it has to be drawn again.

Of a stream a sentence is drawn again only while nobody can have heard it. Whether that was so is told by what it and
the sentence before have drawn, not by when they did: a stream beside others draws the same sentences again as one that
is alone, where both are drawn in step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from realtts.kit.retries import retry_warning
from realtts_vieneu.constants import TOKENS_PER_SECOND
from realtts_vieneu.utterance import again, fault_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts_vieneu.drawing import Drawn
    from realtts_vieneu.utterance import Utterance

__all__ = ["Line"]


@dataclass(eq=False)
class Line:
    """A sentence that is being spoken.

    Attributes:
        utterance: What the language model reads.
        cancelled: Read at every token.
        first: Of a stream, the codes with which it is heard first; None: it is heard as a whole.
        before: The sentence before it in a stream.
        codes: Drawn since `taken` was called last.
        frames: Number of codes that were drawn.
        tokens: Number of tokens that were drawn; some of them may be no code, and are not heard.
        first_try: Number of tokens of its first try, so far.
        drawn: Whether no more tokens come, unless it is drawn again.
        ended: Whether it is not drawn again either.
        stopped: Whether the model ended it; False with ``drawn``: it reached its limit.
        warning: Says that it was drawn again, and why.
    """

    utterance: Utterance
    cancelled: Callable[[], bool]
    first: int | None = None
    before: Line | None = None
    codes: list[Tensor] = field(default_factory=list)
    frames: int = 0
    tokens: int = 0
    first_try: int = 0
    drawn: bool = False
    ended: bool = False
    stopped: bool = False
    warning: str = ""

    def add(self, drawn: Drawn) -> None:
        """Add what was drawn."""
        if len(drawn.codes):
            self.codes.append(drawn.codes)
        self.frames, self.tokens = self.frames + len(drawn.codes), self.tokens + len(drawn.tokens)
        if not self.warning:
            self.first_try = self.tokens
        self.drawn, self.stopped = drawn.ended, drawn.stopped

    def taken(self) -> Tensor:
        """Return the codes that were drawn since the last call, int64 (n,)."""
        codes = torch.cat([torch.zeros(0, dtype=torch.int64), *self.codes])
        self.codes = []
        return codes

    @property
    def settled(self) -> bool:
        """Whether what was drawn stays, so that it can be heard."""
        return self.ended or (not self.drawn and (not self.utterance.retry or self._was_heard() is True))

    def settle(self) -> bool:
        """Decide, once all tokens have come, whether they stay; returns whether the second try has begun instead.

        That is so where they have a fault, somebody waits for them, and nobody has heard any of them. Of a stream that
        may be open until more of the sentence before is drawn.
        """
        if not self.drawn or self.ended:
            return False
        fault = fault_of(self.utterance, self.frames / TOKENS_PER_SECOND, stopped=self.stopped)
        heard = self._was_heard()
        if fault and heard is not True and not self.cancelled():
            if heard is None:
                return False
            self.warning = retry_warning(self.utterance.text, fault)
            self.utterance = again(self.utterance)
            self.codes, self.frames, self.tokens, self.drawn, self.stopped = [], 0, 0, False, False
            return True
        self.ended = True
        return False

    def _was_heard(self) -> bool | None:
        """Tell whether its beginning is heard before it ends, where both it and the one before are drawn in step.

        None: that depends on how much more is drawn of the one before.
        """
        if self.first is None or self.frames < self.first:
            return False
        before = self.before
        if before is None:
            return True
        if before.first_try >= self.tokens or before.warning:
            return False
        return True if before.ended else None
