"""Which tokens can be drawn: any token of the vocabulary, as upstream has it, or speech alone.

Of 217,216 tokens 65,537 are speech, the codes and the end. With a head of these alone a step of twelve rows takes a
quarter less time (int8, one core: 58 ms instead of 75) and the model a third less memory. But it is another
distribution: the probability of all other tokens goes to speech, and the most probable ``top_k`` are all speech.
Upstream draws other tokens, too, and drops them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch

from realtts.accel.sampling import SamplingRecipe
from realtts_vieneu.utterance import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from realtts.accel.sampling import SamplingParams
    from realtts_vieneu.utterance import SpeechIds

__all__ = ["HeadKind", "Outputs"]

HeadKind = Literal["full", "speech"]


@dataclass(frozen=True)
class Outputs:
    """The tokens that the outputs of a head stand for.

    Attributes:
        kind: Which head.
        vocabulary: Number of tokens of the checkpoint.
        ids: Token of each output.
        end: Output that ends an utterance.
        codes: int64 (outputs,): the codec's code of each output, -1 for a token that is no code.
        order: Processors of logits, in transformers' order.
    """

    kind: HeadKind
    vocabulary: int
    ids: Sequence[int]
    end: int
    codes: Tensor
    order: tuple[str, ...]

    @classmethod
    def of(cls, kind: HeadKind, vocabulary: int, speech: SpeechIds, drawing: SamplingParams = DEFAULTS) -> Outputs:
        """Return the outputs of a head over a vocabulary, with the processors that the defaults of sampling need."""
        penalty = ("repetition_penalty",) if drawing.repetition_penalty != 1.0 else ()
        nucleus = ("top_p",) if drawing.top_p < 1.0 else ()
        order = (*penalty, "temperature", "top_k", *nucleus)
        count = len(speech.codes)
        if kind == "speech":
            codes = torch.arange(count + 1).where(torch.arange(count + 1) < count, -1)
            return cls(kind, vocabulary, (*speech.codes, speech.end), count, codes, order)
        codes = torch.full((vocabulary,), -1)
        codes[torch.tensor(speech.codes)] = torch.arange(count)
        return cls(kind, vocabulary, range(vocabulary), speech.end, codes, order)

    @property
    def penalized(self) -> bool:
        """Whether tokens that came before, those of the prompt included, become less likely."""
        return "repetition_penalty" in self.order

    def of_tokens(self, tokens: Iterable[int]) -> list[int]:
        """Return the outputs of tokens; tokens without an output are left out."""
        return [self._output_of[token] for token in tokens if token in self._output_of]

    @cached_property
    def _output_of(self) -> dict[int, int]:
        return {token: output for output, token in enumerate(self.ids)}

    @property
    def recipe(self) -> SamplingRecipe:
        """How an output is drawn from logits: as in transformers' ``generate``, with noise for the whole vocabulary."""
        return SamplingRecipe(
            vocabulary=len(self.ids),
            order=self.order,
            stop_tokens=(self.end,),
            noise_width=self.vocabulary,
            noise_ids=None if self.kind == "full" else tuple(self.ids),
            narrow=True,
        )
