"""A small vocabulary in upstream's tokenizer file, for random checkpoints."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenizers import pre_tokenizers

from realtts.testing.weights import byte_pairs, write_json
from realtts_vieneu.configurations import CODES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_vocabulary"]

_SPECIAL = (
    "<|endoftext|>", "<|TEXT_PROMPT_START|>", "<|TEXT_PROMPT_END|>", "<|SPEECH_GENERATION_START|>",
    "<|SPEECH_GENERATION_END|>", "<|TEXT_REPLACE|>", "<|SPEECH_REPLACE|>",
    *(f"<|emotion_{kind}|>" for kind in range(8)),
)  # fmt: skip

_SPACE = "\u0120"
"""How the tokenizer writes a space."""

_SOUNDS = ("ˈ", "ˌ", "ː", "aː", "ŋ", "ɛ", "ɜ", "ɲ", "ə", "ɔ", "ɣ", "ɗ", "ɹ", "t̪", "tʃ", "kˈ", "zˈ", "lˈ", "hˈ")
"""Each is one token, so that phonemes have merges."""

_WORDS = ("user", "assistant", f"{_SPACE}the", f"{_SPACE}text", f"{_SPACE}to", f"{_SPACE}speech")


def write_vocabulary(path: Path, words: int | None = None) -> tuple[int, dict[str, int]]:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
        path: Existing folder.
        words: Number of tokens before the special ones; None: as few as the sounds and words need.

    Returns:
        Number of tokens, rounded up as the embedding is; and ids of the special tokens.
    """
    tokenizer = _tokenizer(words)
    (path / "tokenizer.json").write_text(tokenizer.content, encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
    }
    write_json(path / "tokenizer_config.json", config)
    return tokenizer.tokens, dict(tokenizer.special)


class _Tokenizer(NamedTuple):
    content: str
    tokens: int
    special: dict[str, int]


@functools.lru_cache(maxsize=1)  # many checkpoints are written by tests, and its speech tokens take most of the time
def _tokenizer(words: int | None) -> _Tokenizer:
    pieces = (*map(_as_bytes, _SOUNDS), *_WORDS)
    vocabulary, merges = byte_pairs(pre_tokenizers.ByteLevel.alphabet(), pieces, words or 0)
    names = [*_SPECIAL, *(f"<|speech_{code}|>" for code in range(CODES))]
    added = [_added(len(vocabulary) + number, name) for number, name in enumerate(names)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": {"type": "NFC"},
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
            "merges": merges,
        },
    }  # fmt: skip
    special = {name: len(vocabulary) + number for number, name in enumerate(_SPECIAL)}
    tokens = -(-(len(vocabulary) + len(added)) // 128) * 128
    return _Tokenizer(json.dumps(content, ensure_ascii=False), tokens, special)


def _added(number: int, name: str) -> dict[str, Any]:
    speech = name.startswith("<|speech_")
    return {
        "id": number, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        "special": not speech,
    }  # fmt: skip


def _as_bytes(word: str) -> str:
    """Return a word as the tokenizer writes it, a letter for each byte."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(part for part, _ in byte_level.pre_tokenize_str(word))
