"""What can be drawn: any token of the vocabulary, as upstream has it, or speech alone.

Of 217,216 tokens 65,537 make sense, the codes and the end. Drawn among these alone a step of twelve rows takes a
quarter less time (int8, one core: 58 ms instead of 75) and the model a third less memory, but it is another
distribution: what the others would have had is shared out, and the most probable ``top_k`` are all speech. Upstream
draws the others, too, and drops them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from realtts.accel.sampling import SamplingRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts_vieneu.utterance import SpeechIds

__all__ = ["HeadKind", "Outputs"]

HeadKind = Literal["full", "speech"]

_ORDER = ("temperature", "top_k")


@dataclass(frozen=True)
class Outputs:
    """What the outputs of a head stand for.

    Attributes:
        kind: Which head.
        vocabulary: Tokens of the checkpoint.
        ids: Token of each output.
        end: Output that ends an utterance.
        codes: int64 (outputs,): the codec's code of each output, -1 of what is none.
    """

    kind: HeadKind
    vocabulary: int
    ids: Sequence[int]
    end: int
    codes: Tensor

    @classmethod
    def of(cls, kind: HeadKind, vocabulary: int, speech: SpeechIds) -> Outputs:
        """The outputs of a head over a vocabulary."""
        count = len(speech.codes)
        if kind == "speech":
            codes = torch.arange(count + 1).where(torch.arange(count + 1) < count, -1)
            return cls(kind, vocabulary, (*speech.codes, speech.end), count, codes)
        codes = torch.full((vocabulary,), -1)
        codes[torch.tensor(speech.codes)] = torch.arange(count)
        return cls(kind, vocabulary, range(vocabulary), speech.end, codes)

    @property
    def recipe(self) -> SamplingRecipe:
        """How logits become outputs: as transformers' ``generate`` does it, with noise for the whole vocabulary."""
        return SamplingRecipe(
            vocabulary=len(self.ids),
            order=_ORDER,
            stop_tokens=(self.end,),
            noise_width=self.vocabulary,
            noise_ids=None if self.kind == "full" else tuple(self.ids),
            narrow=True,
        )
