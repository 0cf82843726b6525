r"""Prompts of the language model: phonemes and the reference's codes as tokens, in one of two forms.

- ``"chat"`` (v1): ``user: Convert the text to speech:<start>WORDS TEXT<end>\nassistant:<speech>CODES``
- ``"tags"`` (0.3B, v2): ``<start><|emotion_0|>WORDS TEXT<end><speech>CODES``

where WORDS are the phonemes of the reference's words, TEXT those of the sentence, and the model goes on with codes.
Phonemes and text that look like a special token become the tokens of their characters. Source: ``vieneu/standard.py``
(``_apply_chat_template``) of github.com/pnnbao97/VieNeu-TTS.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from realtts.kit.libraries import reading_by_library
from realtts.kit.reading import mismatch, read_json, read_text
from realtts_vieneu.configurations import CODES
from realtts_vieneu.utterance import SpeechIds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realtts_vieneu.sizes import Sizes

__all__ = ["EMOTIONS", "FORMATS", "TokenReader"]

FORMATS = ("chat", "tags")

EMOTIONS = {"natural": "<|emotion_0|>", "storytelling": None}
"""Option -> token before the words; None: no token."""

_BEFORE, _BEHIND = "user: Convert the text to speech:", "\nassistant:"
_MARKS = (
    "<|TEXT_PROMPT_START|>", "<|TEXT_PROMPT_END|>", "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>",
)  # fmt: skip
_WHO = "file 'tokenizer.json'"


class TokenReader:
    """The tokenizer of a checkpoint.

    Args:
        path: ``tokenizer.json``.
        sizes: Of the checkpoint.

    Attributes:
        speech: Which tokens are speech.

    Raises:
        CheckpointCorrupt: It cannot be read.
        CheckpointMismatch: A token that is needed is missing, or the vocabulary is not the model's.
    """

    def __init__(self, path: Path, sizes: Sizes) -> None:
        vocabulary = _read(path)
        if vocabulary.largest >= sizes.vocabulary:
            raise mismatch(f"it has a token {vocabulary.largest}, and the model {sizes.vocabulary} tokens", _WHO)
        self._tokenizer, self._special, self.speech = vocabulary.tokenizer, vocabulary.special, vocabulary.speech
        self._start, self._end, self._speak, _ = (self._special[name] for name in _MARKS)

    def has_emotion(self, emotion: str) -> bool:
        """Return whether the model was trained with an emotion's token; true for an emotion that needs none."""
        token = EMOTIONS[emotion]
        return token is None or token in self._special

    def prompt(
        self, form: str, words: str, text: str, codes: Sequence[int], *, emotion: str = "storytelling"
    ) -> tuple[int, ...]:
        """Return the whole prompt as tokens.

        Args:
            form: ``"chat"`` or ``"tags"``.
            words: Phonemes of the reference's words.
            text: Phonemes of the sentence.
            codes: Of the reference.
            emotion: Of `EMOTIONS`; the form ``"chat"`` has no place for it.
        """
        opening, behind = self.opening(form, f"{words} {text}", emotion=emotion), self._ids(_BEHIND)
        table = self.speech.codes
        closing = (self._end, *(behind if form == "chat" else ()), self._speak)
        return (*opening, *closing, *(table[code] for code in codes))

    def opening(self, form: str, words: str, *, emotion: str = "storytelling") -> tuple[int, ...]:
        """Return the tokens that a prompt begins with, up to these phonemes.

        A prompt's tokens may leave it before its end, where its last phonemes and the next ones make one token.
        """
        before = self._ids(_BEFORE) if form == "chat" else ()
        return (*before, self._start, *self._emotion(form, emotion), *self._ids(words))

    def _emotion(self, form: str, emotion: str) -> tuple[int, ...]:
        token = EMOTIONS[emotion]
        return () if form == "chat" or token not in self._special else (self._special[token],)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


@dataclass(frozen=True)
class _Vocabulary:
    """What a tokenizer's file says.

    Attributes:
        tokenizer: Without added tokens, so that none of them is recognised in a text.
        special: Ids of the tokens of prompts; perhaps not of all emotions.
        speech: Which tokens are speech.
        largest: The largest id.
    """

    tokenizer: Tokenizer
    special: dict[str, int]
    speech: SpeechIds
    largest: int


@dataclass(frozen=True)
class _File:
    """A file, equal to any other of the same content."""

    path: Path = field(compare=False)
    digest: bytes


def _read(path: Path) -> _Vocabulary:
    """Read a tokenizer's file; of a content that was read before nothing is parsed again.

    The 65,536 tokens of speech take longer to parse than a small model's weights to read, and every rung of the ladder
    begins with a fresh load.
    """
    return _parsed(_File(path, hashlib.sha256(read_text(path).encode()).digest()))


@functools.lru_cache(maxsize=4)
def _parsed(file: _File) -> _Vocabulary:
    content = read_json(file.path)
    with reading_by_library(file.path):
        added = {str(token["content"]): int(token["id"]) for token in content["added_tokens"]}
        tokenizer = _without(content)
    ids = {**tokenizer.get_vocab(with_added_tokens=False), **added}
    codes = [f"<|speech_{code}|>" for code in range(CODES)]
    if missing := [name for name in (*_MARKS, *codes) if name not in ids]:
        raise mismatch(f"{len(missing)} tokens are missing, the first is {missing[0]}", _WHO)
    special = {name: ids[name] for name in (*_MARKS, *EMOTIONS.values()) if name is not None and name in ids}
    speech = SpeechIds(tuple(ids[name] for name in codes), ids[_MARKS[-1]])
    return _Vocabulary(tokenizer, special, speech, max(ids.values()))


def _without(content: dict[str, Any]) -> Tokenizer:
    """Return the tokenizer without added tokens."""
    bare = {**content, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return Tokenizer.from_str(json.dumps(bare))
