"""A sentence that is being spoken: what was drawn of it, and whether it is to be drawn again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from realtts.kit.retries import told
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
        codes: Drawn since they were taken.
        frames: How many codes were drawn.
        tokens: How many tokens were drawn; those that are no code are drawn too, and not heard.
        ended: Whether no more come.
        stopped: Whether the model ended it; False with ``ended``: it reached its limit.
        heard: Whether some of its sound was handed out, which cannot be taken back.
        warning: That it was drawn again, and why.
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
        """Why it is to be drawn again; nothing if it may stand, or must."""
        if not self.ended or self.heard or self.cancelled():
            return ""
        return fault_of(self.utterance, self.frames / TOKENS_PER_SECOND, stopped=self.stopped)

    def add(self, codes: Tensor, tokens: int, *, ended: bool, stopped: bool) -> None:
        """Take what is new of it.

        Args:
            codes: int64 (n,), perhaps none.
            tokens: How many tokens they were among.
            ended: Whether no more come.
            stopped: Whether the model ended it.
        """
        if len(codes):
            self.codes.append(codes)
        self.frames, self.tokens = self.frames + len(codes), self.tokens + tokens
        self.ended, self.stopped = ended, stopped

    def taken(self) -> Tensor:
        """The codes that were drawn since the last call, int64 (n,)."""
        found = torch.cat([torch.zeros(0, dtype=torch.int64), *self.codes])
        self.codes = []
        return found

    def restart(self) -> bool:
        """Forget what was drawn if it has a fault, so that its second try begins; returns whether it has."""
        # Read once: a request may be cancelled at any time, and then there is no fault any more.
        if not (fault := self.fault):
            return False
        self.warning = told(self.utterance.text, fault)
        self.utterance = again(self.utterance)
        self.codes, self.frames, self.tokens, self.ended, self.stopped = [], 0, 0, False, False
        return True
