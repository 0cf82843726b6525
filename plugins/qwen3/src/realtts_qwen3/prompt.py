"""The talker's prompt: what it reads before the first frame, and the text that is added frame by frame.

Every position is the sum of a text token and a codec token. A prompt has, in this order: the instruction (voice design
and large models), the role, the language, the speaker, and then the text, either whole before the first frame
(``non_streaming``) or spread over the frames, one token each. To clone with a reference's text, that text stands before
the one to be spoken, and the reference's frames stand where speech would. Source: ``generate`` and
``generate_icl_prompt`` in ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_qwen3.embedding import CodeEmbedding, TextEmbedding
    from realtts_qwen3.sizes import Ids
    from realtts_qwen3.utterance import Utterance

__all__ = ["Layout", "Prompts"]


class Layout(NamedTuple):
    """An utterance as the talker reads it.

    Attributes:
        prompt: float32 (n, hidden).
        trailing: float32 (m, hidden): text that is added to the first frames, one token each; to the later frames
            `Prompts.pad` is added.
        shared: First positions of the prompt that are the same for every text in this voice.
    """

    prompt: Tensor
    trailing: Tensor
    shared: int


class Prompts:
    """The embeddings of a checkpoint, which lay out utterances.

    Args:
        text: Embeds text tokens.
        codes: Embeds codes.
        ids: Special tokens.

    Attributes:
        codes: As given.
    """

    def __init__(self, text: TextEmbedding, codes: CodeEmbedding, ids: Ids) -> None:
        self._text, self.codes, self._ids = text, codes, ids

    @property
    def pad(self) -> Tensor:
        """The embedding of no text, float32 (hidden,)."""
        return self._text([self._ids.tts_pad])[0]

    def __call__(self, utterance: Utterance) -> Layout:
        """Lay out an utterance."""
        parts = [self._text(utterance.instruct)] if utterance.instruct else []
        parts += [self._text(utterance.role), self._steering(utterance)]
        shared = sum(map(len, parts))
        if utterance.codes is not None:
            spoken, trailing = self._cloned(utterance)
            # The recording's words come first; without streaming they stand alone, else beside its frames.
            shared += min(len(utterance.reference), len(spoken) - 1)
        elif utterance.non_streaming:
            spoken, trailing = self._whole(utterance.text), self._nothing
        else:
            words, begin = self._with_end(utterance.text), self.codes.steering([self._ids.codec_bos])
            spoken, trailing = words[:1] + begin, words[1:]
        return Layout(torch.cat([*parts, spoken]), trailing, shared)

    @property
    def _nothing(self) -> Tensor:
        return self.pad[None, :][:0]

    def _steering(self, utterance: Utterance) -> Tensor:
        """Lay out language and speaker over text padding, and the begin of the text over codec padding."""
        ids = self._ids
        if utterance.language is None:
            tags = [ids.codec_nothink, ids.codec_think_bos, ids.codec_think_eos]
        else:
            tags = [ids.codec_think, ids.codec_think_bos, utterance.language, ids.codec_think_eos]
        codec = [self.codes.steering(tags)]
        if utterance.voice is not None:
            codec.append(utterance.voice.to(codec[0]).view(1, -1))
        elif utterance.speaker is not None:
            codec.append(self.codes.steering([utterance.speaker]))
        codec.append(self.codes.steering([ids.codec_pad]))
        tags_and_voice = torch.cat(codec)
        return tags_and_voice + self._text([ids.tts_pad] * (len(tags_and_voice) - 1) + [ids.tts_bos])

    def _with_end(self, text: tuple[int, ...]) -> Tensor:
        return self._text([*text, self._ids.tts_eos])

    def _whole(self, text: tuple[int, ...]) -> Tensor:
        words = self._with_end(text)
        begin = self.pad + self.codes.steering([self._ids.codec_bos])
        return torch.cat([words + self.codes.steering([self._ids.codec_pad]), begin])

    def _cloned(self, utterance: Utterance) -> tuple[Tensor, Tensor]:
        """Lay out both texts, with the reference's frames behind or beside them; returns prompt and trailing text."""
        assert utterance.codes is not None
        words = self._with_end((*utterance.reference, *utterance.text))
        codes = utterance.codes.to(words.device)
        frames = torch.cat([self.codes.steering([self._ids.codec_bos]), self.codes.frames(codes)])
        if utterance.non_streaming:
            spoken = words + self.codes.steering([self._ids.codec_pad])
            return torch.cat([spoken, frames + self.pad]), self._nothing
        beside, trailing = words[: len(frames)], words[len(frames) :]
        missing = len(frames) - len(beside)
        if missing:
            beside = torch.cat([beside, self.pad.expand(missing, -1)])
        return beside + frames, trailing
