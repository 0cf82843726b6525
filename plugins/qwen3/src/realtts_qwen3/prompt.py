"""What the talker reads before the first frame, and the text that is left to be added frame by frame.

Every position is the sum of a text token and a codec token. A prompt has, in this order: what the voice is like (voice
design), the role, the language, the speaker, and then the text, either whole before the first frame
(``non_streaming``) or spread over the frames, one token each. To clone with a reference's text, that text stands before
the one to be spoken and the reference's frames stand where speech would. Source: ``generate`` and
``generate_icl_prompt`` in ``core/models/modeling_qwen3_tts.py`` of github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_qwen3.embedding import CodeEmbedding, TextEmbedding
    from realtts_qwen3.sizes import Ids
    from realtts_qwen3.utterance import Utterance

__all__ = ["Layout", "Prompts", "padded"]


class Layout(NamedTuple):
    """An utterance as the talker reads it.

    Attributes:
        prompt: float32 (n, hidden).
        trailing: float32 (m, hidden): added to the first frames, one each; `Prompts.pad` is added to those after.
    """

    prompt: Tensor
    trailing: Tensor


class Prompts:
    """Lays out utterances.

    Args:
        text: Text tokens to vectors.
        codes: Codes to vectors.
        ids: Special tokens.
    """

    def __init__(self, text: TextEmbedding, codes: CodeEmbedding, ids: Ids) -> None:
        self._text, self._codes, self._ids = text, codes, ids

    @property
    def pad(self) -> Tensor:
        """What stands for no text, float32 (hidden,)."""
        return self._text([self._ids.tts_pad])[0]

    def __call__(self, utterance: Utterance) -> Layout:
        """Lay an utterance out."""
        parts = [self._text(utterance.instruct)] if utterance.instruct else []
        parts += [self._text(utterance.role), self._steering(utterance)]
        if utterance.codes is not None:
            spoken, trailing = self._cloned(utterance)
        elif utterance.non_streaming:
            spoken, trailing = self._whole(utterance.text), self._nothing
        else:
            words, begin = self._with_end(utterance.text), self._codes.steering([self._ids.codec_bos])
            spoken, trailing = words[:1] + begin, words[1:]
        return Layout(torch.cat([*parts, spoken]), trailing)

    @property
    def _nothing(self) -> Tensor:
        return self.pad[None, :][:0]

    def _steering(self, utterance: Utterance) -> Tensor:
        """Language and speaker over padding, and the begin of the text over the padding of the codec."""
        ids = self._ids
        if utterance.language is None:
            tags = [ids.codec_nothink, ids.codec_think_bos, ids.codec_think_eos]
        else:
            tags = [ids.codec_think, ids.codec_think_bos, utterance.language, ids.codec_think_eos]
        codec = [self._codes.steering(tags)]
        if utterance.voice is not None:
            codec.append(utterance.voice.to(codec[0]).view(1, -1))
        elif utterance.speaker is not None:
            codec.append(self._codes.steering([utterance.speaker]))
        codec.append(self._codes.steering([ids.codec_pad]))
        above = torch.cat(codec)
        return above + self._text([ids.tts_pad] * (len(above) - 1) + [ids.tts_bos])

    def _with_end(self, text: tuple[int, ...]) -> Tensor:
        return self._text([*text, self._ids.tts_eos])

    def _whole(self, text: tuple[int, ...]) -> Tensor:
        words = self._with_end(text)
        begin = self.pad + self._codes.steering([self._ids.codec_bos])
        return torch.cat([words + self._codes.steering([self._ids.codec_pad]), begin])

    def _cloned(self, utterance: Utterance) -> tuple[Tensor, Tensor]:
        """Both texts, and the reference's frames behind them or beside them."""
        assert utterance.codes is not None
        words = self._with_end((*utterance.reference, *utterance.text))
        codes = utterance.codes.to(words.device)
        frames = torch.cat([self._codes.steering([self._ids.codec_bos]), self._codes.frames(codes)])
        if utterance.non_streaming:
            above = words + self._codes.steering([self._ids.codec_pad])
            return torch.cat([above, frames + self.pad]), self._nothing
        beside, trailing = words[: len(frames)], words[len(frames) :]
        missing = len(frames) - len(beside)
        if missing:
            beside = torch.cat([beside, self.pad.expand(missing, -1)])
        return beside + frames, trailing


def padded(trailing: Tensor, pad: Tensor, length: int) -> Tensor:
    """A text for exactly so many frames: cut, or filled up with what stands for no text. (length, hidden)."""
    if len(trailing) >= length:
        return trailing[:length]
    filled = functional.pad(trailing, (0, 0, 0, length - len(trailing)))
    filled[len(trailing) :] = pad
    return filled
