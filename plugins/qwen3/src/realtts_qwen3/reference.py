"""Upstream's own classes for one request at a time: frames, their samples, and encoded recordings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.accel.upstream.calls import quiet, seeded, stopping
from realtts_qwen3.building import codec_of, model_of
from realtts_qwen3.constants import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["Upstream"]


class Upstream:
    """A checkpoint in upstream's networks, float32.

    Args:
        weights: The checkpoint.
        device: Device to compute on.

    Attributes:
        device: As given.
        model: Upstream's ``Qwen3TTSForConditionalGeneration``.
        codec: Upstream's ``Qwen3TTSTokenizerV2Model``.

    Raises:
        CheckpointError: As `realtts_qwen3.building`.
        MissingExtra: qwen-tts is not installed.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        self.device = device
        self.model = model_of(weights, device)
        self.codec = codec_of(weights, device)
        self._ids = weights.sizes.ids
        self._weights = weights

    @property
    def attention(self) -> str:
        """Upstream's implementation of attention: ``sdpa``, or ``eager``."""
        return str(self.model.talker.config._attn_implementation)

    @torch.inference_mode()
    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute the speaker embedding, float32 (width,), of samples at 24 kHz."""
        with quiet():
            embedding: Tensor = self.model.extract_speaker_embedding(wave, RATE)
        return embedding

    @torch.inference_mode()
    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Encode samples at 24 kHz as codes, int64 (frames, 16)."""
        samples = torch.from_numpy(wave).to(self.device)[None]
        with quiet():
            codes: Tensor = self.codec.encode(samples, torch.ones_like(samples, dtype=torch.long)).audio_codes[0]
        return codes

    @torch.inference_mode()
    def draw(self, utterance: Utterance, cancelled: Callable[[], bool]) -> tuple[Tensor, bool]:
        """Draw the frames of one request by upstream's ``generate``.

        Args:
            utterance: The request.
            cancelled: Whether the request was cancelled; called before every frame.

        Returns:
            int64 (frames, 16), and whether the end was drawn.

        Raises:
            Cancelled: The request was cancelled.
        """
        arguments = self._arguments(utterance)
        watched = self._watched(cancelled, forced=utterance.forced)
        with quiet(), seeded(self.device, utterance.seed), watched as last:
            rows, _ = self.model.generate(**arguments)
        codes: Tensor = rows[0]
        return codes, last == [self._ids.codec_eos]

    @torch.inference_mode()
    def samples(self, codes: Tensor, before: Tensor | None) -> NDArray[np.float32]:
        """Decode frames by upstream's decoder, which takes 300 frames at a time.

        Args:
            codes: int64 (frames, 16).
            before: Codes of the recording, which is decoded before them and cut off.

        Returns:
            float32 (1920 * frames,).
        """
        if not len(codes):
            return np.zeros(0, np.float32)
        whole = codes if before is None else torch.cat([before.to(codes), codes])
        with quiet():
            wave = self.codec.decode(whole[None]).audio_values[0]
        samples: NDArray[np.float32] = wave.float().cpu().numpy()
        return samples[-len(codes) * self._weights.codec.samples_per_frame :]

    def _arguments(self, utterance: Utterance) -> dict[str, Any]:
        """Return the arguments of upstream's ``generate``; its prompts have what it cuts off them."""
        config, sizes = self._weights.sizes.config, self._weights.sizes
        end = int(config.get("im_end_token_id", 151645))
        behind = (end, self._weights.reader.role[-1], *utterance.role)  # "<|im_end|>\n" and the role again
        talker, predictor = utterance.talker, utterance.predictor
        arguments: dict[str, Any] = {
            "input_ids": [self._row((*utterance.role, *utterance.text, *behind))],
            "instruct_ids": [self._row(utterance.instruct) if utterance.instruct else None],
            "languages": [_name_of(sizes.languages, utterance.language) or "auto"],
            "speakers": [_name_of(sizes.speakers, utterance.speaker)],
            "non_streaming_mode": utterance.non_streaming,
            "max_new_tokens": utterance.max_frames + 1,
            "do_sample": not talker.greedy,
            "temperature": talker.temperature,
            "top_k": talker.top_k,
            "top_p": talker.top_p,
            "repetition_penalty": talker.repetition_penalty,
            "subtalker_dosample": not predictor.greedy,
            "subtalker_temperature": predictor.temperature,
            "subtalker_top_k": predictor.top_k,
            "subtalker_top_p": predictor.top_p,
        }
        if utterance.voice is None:
            return arguments
        return arguments | self._clone_arguments(utterance, utterance.voice, behind[:2])

    def _clone_arguments(self, utterance: Utterance, voice: Tensor, behind: tuple[int, ...]) -> dict[str, Any]:
        """Return the further arguments for the voice of a recording."""
        codes = utterance.codes
        reference = None if codes is None else self._row((*utterance.role, *utterance.reference, *behind))
        return {
            "ref_ids": [reference],
            "voice_clone_prompt": {
                "ref_code": [None if codes is None else codes.to(self.device)],
                "ref_spk_embedding": [voice.to(self.device)],
                "x_vector_only_mode": [codes is None],
                "icl_mode": [codes is not None],
            },
        }

    def _row(self, ids: tuple[int, ...]) -> Tensor:
        return torch.tensor([ids], device=self.device)

    @contextlib.contextmanager
    def _watched(self, cancelled: Callable[[], bool], *, forced: bool) -> Iterator[list[int]]:
        """Stop a cancelled request at the next frame, and let a forced one never end by itself, for one call inside.

        Yields:
            A list, which afterwards has the last token that was drawn: upstream makes no frame of it.
        """
        last: list[int] = []

        def without_end(_: Any, __: Any, logits: Tensor) -> Tensor | None:
            if not forced:
                return None
            logits = logits.clone()
            logits[..., self._ids.codec_eos] = -torch.inf
            return logits

        talker = self.model.talker
        generate = talker.generate

        def recorded(**arguments: Any) -> Any:
            result = generate(**arguments)
            last.append(int(result.sequences[0, -1]))
            return result

        talker.generate = recorded
        handle = talker.codec_head.register_forward_hook(without_end)
        deltas = talker.rope_deltas
        try:
            with stopping(talker.model, cancelled):
                yield last
        finally:
            del talker.generate
            talker.rope_deltas = deltas
            handle.remove()


def _name_of(names: Any, number: int | None) -> str | None:
    """Return the name of an id: upstream takes names, and an utterance has ids."""
    return None if number is None else next(name for name, token in names.items() if token == number)
