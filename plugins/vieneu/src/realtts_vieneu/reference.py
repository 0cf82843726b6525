"""transformers' own classes for one sentence at a time: language model, codec's decoder and codec's encoder.

They are called as ``infer`` of upstream's ``vieneu/standard.py`` calls them, sentence by sentence. Upstream's batches
are not used: they are padded on the left and draw all rows from one generator, so that no sentence sounds as it does
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.accel.upstream.calls import quiet, seeded
from realtts.contract.stages import Cancelled
from realtts_vieneu.building import model_of
from realtts_vieneu.encoder import Encoder, codec_network
from realtts_vieneu.upstream import module

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_vieneu.loading import Weights
    from realtts_vieneu.utterance import Utterance

__all__ = ["Upstream"]


class Upstream:
    """A checkpoint in transformers' networks, float32.

    Args:
        weights: The checkpoint.
        device: Where they lie.

    Raises:
        CheckpointError: As `realtts_vieneu.building`.
        MissingExtra: transformers is not installed, or too old.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        self.device = self._codec_device = device
        self._weights = weights
        self.model = model_of(weights, device)
        with quiet():
            self.codec = codec_network(weights.codec, weights.codec_state, device, encode=False)
        ids = weights.reader.speech
        self._codes = {token: code for code, token in enumerate(ids.codes)}
        self._speech = torch.tensor(ids.codes, device=device)
        self._end = ids.end

    def codes(self, samples: Tensor) -> Tensor:
        """Encode a recording, float32 (n,) at 16 kHz, to int64 (frames,); the encoder is in memory only meanwhile."""
        weights = self._weights
        with quiet():
            encoder = Encoder(
                weights.codec.config, weights.codec_state, device=self.device, semantic=weights.semantic()
            )
            return encoder.codes(samples)

    @torch.inference_mode()
    def draw(self, utterance: Utterance, cancelled: Callable[[], bool]) -> tuple[list[int], bool]:
        """Draw one sentence with ``generate``.

        Args:
            utterance: The sentence.
            cancelled: Read before every token.

        Returns:
            Tokens, the end not among them, and whether it was drawn.

        Raises:
            Cancelled: The request was cancelled.
        """
        ids = torch.tensor([utterance.ids], device=self.device)
        generation = module("transformers.generation")
        watched = generation.StoppingCriteriaList([_Watch(cancelled)])
        mask = generation.LogitsProcessorList([self._only_speech] if utterance.forced else [])
        with quiet(), seeded(self.device, utterance.seed):
            drawn = self.model.generate(
                ids, attention_mask=torch.ones_like(ids), logits_processor=mask, stopping_criteria=watched,
                max_new_tokens=utterance.most, use_cache=True, eos_token_id=self._end, pad_token_id=self._end,
                min_new_tokens=utterance.most if utterance.forced else utterance.least, **_drawing(utterance),
            )  # fmt: skip
        if cancelled():
            raise Cancelled
        tokens: list[int] = drawn[0, len(utterance.ids) :].tolist()
        ended = not utterance.forced and self._end in tokens
        return (tokens[: tokens.index(self._end)] if ended else tokens), ended

    def heard(self, tokens: list[int]) -> Tensor:
        """Return the codes among tokens, int64 (n,); other tokens are dropped, as upstream does."""
        return torch.tensor([self._codes[token] for token in tokens if token in self._codes], dtype=torch.int64)

    @torch.inference_mode()
    def samples(self, codes: Tensor, device: str | None = None) -> NDArray[np.float32]:
        """Decode codes.

        Args:
            codes: int64 (n,).
            device: Where they are decoded; None: where the language model is.

        Returns:
            float32 (480 n,), 24 kHz.
        """
        if not len(codes):
            return np.zeros(0, np.float32)
        place = device or self.device
        if place != self._codec_device:
            self.codec.to(place)
            self._codec_device = place
        with quiet():
            wave = self.codec.decode(codes.to(place)[None, None], return_dict=True).audio_values[0, 0]
        samples: NDArray[np.float32] = wave.float().cpu().numpy()
        return samples

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: list[int]) -> Tensor:
        """Return the logits that given tokens would be drawn from, float32 (n, vocabulary)."""
        ids = torch.tensor([[*utterance.ids, *tokens[:-1]]], device=self.device)
        with quiet():
            logits: Tensor = self.model(ids).logits[0, -len(tokens) :].float()
        return logits

    def _only_speech(self, _: Tensor, scores: Tensor) -> Tensor:
        """Leave only codes to be drawn, for a forced sentence."""
        speech = torch.full_like(scores, -torch.inf)
        speech[:, self._speech] = scores[:, self._speech]
        return speech


class _Watch:
    """A stopping criterion: ends ``generate`` once the request is cancelled."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return torch.full((len(input_ids),), self._cancelled(), dtype=torch.bool, device=input_ids.device)


def _drawing(utterance: Utterance) -> dict[str, Any]:
    """Return the arguments of ``generate`` for an utterance's sampling."""
    params = utterance.params
    penalty = {"repetition_penalty": params.repetition_penalty}
    if params.greedy:
        return {"do_sample": False, "temperature": None, "top_k": None, "top_p": None, **penalty}
    return {
        "do_sample": True, "temperature": params.temperature, "top_k": params.top_k, "top_p": params.top_p, **penalty,
    }  # fmt: skip
