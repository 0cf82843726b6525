"""Small vocabularies in the files of upstream's tokenizers, for random checkpoints."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from realtts.testing.weights import byte_pairs, write_json
from realtts_chatterbox.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["write_vocabulary"]

_FIXED = {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "[START]": 255}
"""Ids on which upstream's tokenizers and its T3 rely."""

_SPECIAL = ("[PAD]", "[SEP]", "[CLS]", "[MASK]")
_PAIRS = ("th", "he", "in", "er", "an", "re", "on", "at", "en", "nd", "es", "or", "te", "of", "ed", "is", "it", "al")
_SCRIPTS = (
    (0xA1, 0x180), (0x300, 0x370), (0x370, 0x400), (0x400, 0x460), (0x591, 0x5F0), (0x600, 0x700), (0x900, 0x980),
    (0x1100, 0x1200), (0x3001, 0x3003), (0x3041, 0x3100),
)  # fmt: skip
"""Ranges of code points that the multilingual model reads."""


def write_vocabulary(path: Path, model: str, size: int) -> None:
    """Write a model's tokenizer.

    Args:
        path: Existing folder.
        model: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        size: Number of the model's text tokens: all ids stay below it.
    """
    if model == "turbo":
        _write_turbo(path)
        return
    characters = [c for c in string.printable if not c.isspace()]
    names = [*_SPECIAL]
    if model == "multilingual":
        characters += [chr(code) for begin, end in _SCRIPTS for code in range(begin, end)]
        names += [f"[{language}]" for language in LANGUAGES] + [f"[cj_{c}]" for c in string.ascii_lowercase + ".0123"]
        table = [f"{chr(0x4E00 + n)}\t{string.ascii_lowercase[n % 26] * 2}" for n in range(64)]
        write_json(path / "Cangjie5_TC.json", table)
    tokenizer = _tokenizer(characters, names)
    assert tokenizer.get_vocab_size() <= size
    name = "tokenizer.json" if model == "english" else "grapheme_mtl_merged_expanded_v1.json"
    tokenizer.save(str(path / name))


def _tokenizer(characters: Iterable[str], names: Iterable[str]) -> Tokenizer:
    vocabulary = dict(_FIXED)
    free = (number for number in range(10_000) if number not in _FIXED.values())
    for token in (*dict.fromkeys(characters), *names, *_PAIRS):
        vocabulary[token] = next(free)
    # Upstream's ids run without a gap; where there are few characters, the start stands far behind them.
    while max(vocabulary.values()) > len(vocabulary) - 1:
        vocabulary[f"[unused{len(vocabulary)}]"] = next(free)
    merges = [(pair[0], pair[1]) for pair in _PAIRS]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in (*_FIXED, *names)])
    return tokenizer


def _write_turbo(path: Path) -> None:
    """Write GPT-2's bytes and three of Turbo's tags."""
    tokenizer = Tokenizer(models.BPE(*byte_pairs(pre_tokenizers.ByteLevel.alphabet(), ())))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in ("[laugh]", "[cough]", "[sigh]")])
    tokenizer.save(str(path / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 1024,
    }
    write_json(path / "tokenizer_config.json", config)
