"""The files of each model. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.shards import INDEX_SUFFIX, with_shards

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from realtts.contract.spec import WantedFile

__all__ = ["BUILTIN", "COMPUTED", "FILES", "S3GENS", "T3_FILES", "VOICE_ENCODERS", "spare_in"]

T3_FILES: dict[str, str] = {
    "english": "t3_cfg.safetensors",
    "multilingual": "t3_mtl23ls_v2.safetensors",
    "turbo": "t3_turbo_v1.safetensors",
}
"""The file that tells which model a folder holds; of several, the first one counts."""

S3GENS = ("s3gen_meanflow.safetensors", "s3gen.safetensors", "s3gen.pt")
"""Flow, vocoder, speech tokenizer and speaker encoder: a model has one of them."""

VOICE_ENCODERS = ("ve.pt", "ve.safetensors")
"""The speaker encoder for T3: a model has one of them."""

BUILTIN = "conds.pt"
"""The built-in voice."""

COMPUTED = ("_mel_filters", "window")
"""Ends of names of the speech tokenizer's tensors that some of upstream's files leave out."""

_WHOLE: dict[str, tuple[WantedFile, ...]] = {
    "english": (
        T3_FILES["english"], "s3gen.safetensors", "ve.safetensors", "tokenizer.json", (BUILTIN, None),
    ),
    "multilingual": (
        T3_FILES["multilingual"], ("s3gen.pt", "s3gen.safetensors"), ("ve.pt", "ve.safetensors"),
        "grapheme_mtl_merged_expanded_v1.json", ("Cangjie5_TC.json", None), (BUILTIN, None),
    ),
    "turbo": (
        T3_FILES["turbo"], "s3gen_meanflow.safetensors", "ve.safetensors", ("tokenizer.json", None),
        ("vocab.json", None), ("merges.txt", None), ("added_tokens.json", None), ("special_tokens_map.json", None),
        "tokenizer_config.json", (BUILTIN, None),
    ),
}  # fmt: skip

FILES = {name: with_shards(files) for name, files in _WHOLE.items()}
"""Files that each model is read from, by upstream's names."""


def spare_in(path: Path, names: Collection[str]) -> Collection[str]:
    """Return the names of a file's tensors that may be there although no network has a place for them.

    In ``s3gen.safetensors`` any, because upstream loads it without ``strict``; of Turbo's T3 the embedding of its
    backbone, which upstream deletes.
    """
    name = path.name.removesuffix(INDEX_SUFFIX)
    if name == "s3gen.safetensors":
        return names
    return ("tfmr.wte.weight",) if name == T3_FILES["turbo"] else ()
