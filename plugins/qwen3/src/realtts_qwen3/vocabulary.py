"""A small vocabulary in upstream's tokenizer files, for random checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import pre_tokenizers

from realtts.testing.weights import byte_pairs, write_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SPECIAL", "write_vocabulary"]

SPECIAL = {
    "<|endoftext|>": 0,
    "<|im_start|>": 1,
    "<|im_end|>": 2,
    "<|audio_start|>": 26,
    "<|audio_end|>": 27,
    "<tts_pad>": 28,
    "<tts_text_bos>": 29,
    "<tts_text_eod>": 30,
    "<tts_text_bos_single>": 31,
    "<|audio_pad|>": 32,
}
"""Special tokens and their distance from the first, which stands behind the words."""

_WORDS = (
    "assistant", "user", "hello", "\u0120hello", "\u0120the", "\u0120there", "\u0120this", "\u0120is", "\u0120test",
    "ing", "er", "ed", "'s",
)  # fmt: skip
"""Each is one token, so that texts have merges; ``\u0120`` is how the tokenizer writes a space."""


def write_vocabulary(path: Path, first_special: int) -> dict[str, int]:
    """Write ``vocab.json``, ``merges.txt`` and ``tokenizer_config.json``.

    Args:
        path: Existing folder.
        first_special: Id of ``<|endoftext|>``.

    Returns:
        Token -> id, special tokens among them.
    """
    # transformers numbers special tokens on from the vocabulary's size, so neither may have gaps.
    vocabulary, merges = byte_pairs(pre_tokenizers.ByteLevel.alphabet(), _WORDS, first_special)
    assert len(vocabulary) == first_special
    names = {distance: token for token, distance in SPECIAL.items()}
    special = {
        names.get(distance, f"<|reserved_{distance}|>"): first_special + distance for distance in range(max(names) + 1)
    }
    write_json(path / "vocab.json", vocabulary, indent=None)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    (path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    write_json(path / "tokenizer_config.json", _config(special))
    return vocabulary | special


def _config(special: dict[str, int]) -> dict[str, object]:
    """Return the content of ``tokenizer_config.json``."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "errors": "replace",
        "model_max_length": 131072,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": False,
        "added_tokens_decoder": {str(number): {"content": token, **flags} for token, number in special.items()},
    }
