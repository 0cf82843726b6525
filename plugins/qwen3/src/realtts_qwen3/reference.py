"""Upstream's own classes for one request at a time: what they draw, what they make of it, and what of a recording."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.accel.upstream.upstream import quiet, seeded, stopping
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
        device: Where they lie.

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

    @torch.inference_mode()
    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the speaker, float32 (width,), of samples at 24 kHz."""
        with quiet():
            found: Tensor = self.model.extract_speaker_embedding(wave, RATE)
        return found

    @torch.inference_mode()
    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the codec, int64 (frames, 16), of samples at 24 kHz."""
        samples = torch.from_numpy(wave).to(self.device)[None]
        with quiet():
            found: Tensor = self.codec.encode(samples, torch.ones_like(samples, dtype=torch.long)).audio_codes[0]
        return found

    @torch.inference_mode()
    def draw(self, utterance: Utterance, cancelled: Callable[[], bool]) -> tuple[Tensor, bool]:
        """Upstream's ``generate`` for one request.

        Args:
            utterance: The request.
            cancelled: Read before every frame.

        Returns:
            int64 (frames, 16), and whether the end was drawn.

        Raises:
            Cancelled: The request was cancelled.
        """
        given = self._arguments(utterance)
        watched = self._watched(cancelled, forced=utterance.forced)
        with quiet(), seeded(self.device, utterance.seed), watched as last:
            found, _ = self.model.generate(**given)
        codes: Tensor = found[0]
        return codes, last == [self._ids.codec_eos]

    @torch.inference_mode()
    def samples(self, codes: Tensor, before: Tensor | None) -> NDArray[np.float32]:
        """Upstream's decoder, which takes 300 frames at a time.

        Args:
            codes: int64 (frames, 16).
            before: Codes of the recording, which is decoded before them and not handed out.

        Returns:
            float32 (1920 x frames,).
        """
        if not len(codes):
            return np.zeros(0, np.float32)
        whole = codes if before is None else torch.cat([before.to(codes), codes])
        with quiet():
            wave = self.codec.decode(whole[None]).audio_values[0]
        found: NDArray[np.float32] = wave.float().cpu().numpy()[-len(codes) * self._weights.codec.samples_per_frame :]
        return found

    def _arguments(self, utterance: Utterance) -> dict[str, Any]:
        """What upstream's ``generate`` is called with; what it cuts off the prompts is put on."""
        config, sizes = self._weights.sizes.config, self._weights.sizes
        end = int(config.get("im_end_token_id", 151645))
        behind = (end, self._weights.reader.role[-1], *utterance.role)  # "<|im_end|>\n" and the role again
        talker, predictor = utterance.talker, utterance.predictor
        given: dict[str, Any] = {
            "input_ids": [self._row((*utterance.role, *utterance.text, *behind))],
            "instruct_ids": [self._row(utterance.instruct) if utterance.instruct else None],
            "languages": [_name_of(sizes.languages, utterance.language) or "auto"],
            "speakers": [_name_of(sizes.speakers, utterance.speaker)],
            "non_streaming_mode": utterance.non_streaming,
            "max_new_tokens": utterance.most + 1,
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
        return given if utterance.voice is None else given | self._cloned(utterance, utterance.voice, behind[:2])

    def _cloned(self, utterance: Utterance, voice: Tensor, behind: tuple[int, ...]) -> dict[str, Any]:
        """The same for the voice of a recording."""
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
        """Inside, a cancelled request stops at the next frame, and a forced one never ends by itself.

        Yields:
            Afterwards, the last token that was drawn, of which upstream makes no frame.
        """
        last: list[int] = []

        def behind(_: Any, __: Any, logits: Tensor) -> Tensor | None:
            if not forced:
                return None
            logits = logits.clone()
            logits[..., self._ids.codec_eos] = -torch.inf
            return logits

        talker = self.model.talker
        generate = talker.generate

        def seen(**given: Any) -> Any:
            result = generate(**given)
            last.append(int(result.sequences[0, -1]))
            return result

        talker.generate = seen
        handle = talker.codec_head.register_forward_hook(behind)
        deltas = talker.rope_deltas
        try:
            with stopping(talker.model, cancelled):
                yield last
        finally:
            del talker.generate
            talker.rope_deltas = deltas
            handle.remove()


def _name_of(names: Any, number: int | None) -> str | None:
    """Upstream is told names; here ids are known already."""
    return None if number is None else next(name for name, known in names.items() if known == number)
