"""Text to ids, equal to upstream's ``Qwen2Tokenizer``, without transformers.

Text that looks like a special token is text: ``<|im_end|>`` in a text becomes the ids of its characters, which the
model may speak or leave out, and never the token, which would end the text. Upstream reads it as the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from realtts.kit.entries import count, reading_entries
from realtts.kit.libraries import reading_by_library
from realtts.kit.reading import mismatch, read_json, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from realtts_qwen3.sizes import Sizes

__all__ = ["TextReader"]

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's words: no token crosses their bounds."""

_ROLE_TOKENS = 3
"""Tokens of ``<|im_start|>assistant\\n``; upstream cuts its prompts by this number."""


class TextReader:
    """The tokenizer of a checkpoint.

    Args:
        files: The checkpoint's ``vocab.json`` and ``merges.txt``.
        sizes: Sizes of the checkpoint.

    Attributes:
        role: Ids before every text.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: The vocabulary is not the model's.
    """

    def __init__(self, files: Mapping[str, Path], sizes: Sizes) -> None:
        vocabulary, merges = read_json(files["vocab.json"]), _merges(read_text(files["merges.txt"]))
        with reading_by_library(files["vocab.json"], files["merges.txt"]):
            bpe = models.BPE(vocabulary, merges)
        self._tokenizer = Tokenizer(bpe)
        self._tokenizer.normalizer = normalizers.NFC()
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        if missing := sorted(set(pre_tokenizers.ByteLevel.alphabet()) - self._tokenizer.get_vocab().keys()):
            raise mismatch(f"{len(missing)} bytes have no token, the first is {missing[0]!r}", "file 'vocab.json'")
        with reading_entries("file 'config.json'"):
            self._start = count(sizes.config, "im_start_token_id", 151644, least=0)
            self._end = count(sizes.config, "im_end_token_id", 151645, least=0)
        self.role = (self._start, *self._encode("assistant\n"))
        largest = max(self._start, self._end, *self._tokenizer.get_vocab().values())
        if len(self.role) != _ROLE_TOKENS or largest >= sizes.text_vocabulary:
            raise mismatch("it is not the vocabulary that config.json speaks of", "file 'vocab.json'")

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text, or of the words of a recording, without the tokens around it.

        White space around it is left out: upstream's prompt would merge a line break of it with its own.
        """
        return self._encode(text.strip())

    def instruction(self, instruct: str | None) -> tuple[int, ...]:
        """Return the ids of an instruction with the tokens around it; none for a blank one."""
        if not (instruct or "").strip():
            return ()
        return (self._start, *self._encode(f"user\n{(instruct or '').strip()}"), self._end, *self._encode("\n"))

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _merges(text: str) -> list[tuple[str, ...]]:
    lines = (line for line in text.replace("\r\n", "\n").split("\n") if line and not line.startswith("#version"))
    return [tuple(line.split(" ")) for line in lines]
