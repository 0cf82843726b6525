"""A sentence that is being spoken: its codes so far, and whether it has to be drawn again."""

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

    from realtts_vieneu.utterance import Utterance

__all__ = ["Line"]


@dataclass(eq=False)
class Line:
    """A sentence that is being spoken.

    Attributes:
        utterance: What the language model reads.
        cancelled: Read at every token.
        codes: Drawn since `taken` was called last.
        frames: Number of codes that were drawn.
        tokens: Number of tokens that were drawn; some of them may be no code, and are not heard.
        ended: Whether no more come.
        stopped: Whether the model ended it; False with ``ended``: it reached its limit.
        heard: Whether some of its sound was handed out, which cannot be taken back.
        warning: Says that it was drawn again, and why.
    """

    utterance: Utterance
    cancelled: Callable[[], bool]
    codes: list[Tensor] = field(default_factory=list)
    frames: int = 0
    tokens: int = 0
    ended: bool = False
    stopped: bool = False
    heard: bool = False
    warning: str = ""

    @property
    def fault(self) -> str:
        """Why it has to be drawn again; empty if it may stay, or has to because it was heard or cancelled."""
        if not self.ended or self.heard or self.cancelled():
            return ""
        return fault_of(self.utterance, self.frames / TOKENS_PER_SECOND, stopped=self.stopped)

    def add(self, codes: Tensor, tokens: int, *, ended: bool, stopped: bool) -> None:
        """Add what was drawn.

        Args:
            codes: int64 (n,), perhaps none.
            tokens: Number of tokens that were drawn, those that are no code included.
            ended: Whether no more come.
            stopped: Whether the model ended it.
        """
        if len(codes):
            self.codes.append(codes)
        self.frames, self.tokens = self.frames + len(codes), self.tokens + tokens
        self.ended, self.stopped = ended, stopped

    def taken(self) -> Tensor:
        """Return the codes that were drawn since the last call, int64 (n,)."""
        codes = torch.cat([torch.zeros(0, dtype=torch.int64), *self.codes])
        self.codes = []
        return codes

    def restart(self) -> bool:
        """Drop what was drawn if it has a fault, and begin the second try; returns whether that was so."""
        # Read once: a request may be cancelled at any time, and then there is no fault any more.
        if not (fault := self.fault):
            return False
        self.warning = retry_warning(self.utterance.text, fault)
        self.utterance = again(self.utterance)
        self.codes, self.frames, self.tokens, self.ended, self.stopped = [], 0, 0, False, False
        return True
