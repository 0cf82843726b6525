"""Which files each of the three models has. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtts.spec import Checkpoint, WantedFile

__all__ = ["FILES", "HUB_IDS", "T3_FILES", "kind_of", "known_kind"]

T3_FILES: dict[str, str] = {
    "english": "t3_cfg.safetensors",
    "multilingual": "t3_mtl23ls_v2.safetensors",
    "turbo": "t3_turbo_v1.safetensors",
}
"""The file by which a model is known; a folder that holds several is the first of them."""

HUB_IDS = {
    "english": "ResembleAI/chatterbox",
    "multilingual": "ResembleAI/chatterbox",
    "turbo": "ResembleAI/chatterbox-turbo",
}

FILES: dict[str, tuple[WantedFile, ...]] = {
    "english": (
        T3_FILES["english"], "s3gen.safetensors", "ve.safetensors", "tokenizer.json", ("conds.pt", None),
    ),
    "multilingual": (
        T3_FILES["multilingual"], ("s3gen.pt", "s3gen.safetensors"), ("ve.pt", "ve.safetensors"),
        "grapheme_mtl_merged_expanded_v1.json", ("Cangjie5_TC.json", None), ("conds.pt", None),
    ),
    "turbo": (
        T3_FILES["turbo"], "s3gen_meanflow.safetensors", "ve.safetensors", ("tokenizer.json", None),
        ("vocab.json", None), ("merges.txt", None), ("added_tokens.json", None), ("special_tokens_map.json", None),
        "tokenizer_config.json", ("conds.pt", None),
    ),
}  # fmt: skip
"""What each model is read from; upstream's names."""


def known_kind(checkpoint: Checkpoint) -> str | None:
    """Which model one of the spec's own checkpoints holds; None: its files must tell."""
    if checkpoint.path is not None:
        return None
    if checkpoint.name in FILES:
        return checkpoint.name
    return next((kind for kind, hub_id in HUB_IDS.items() if hub_id == checkpoint.source), None)


def kind_of(names: Iterable[str]) -> str:
    """Which model has a file among these names; there must be one."""
    found = set(names)
    return next(kind for kind, name in T3_FILES.items() if name in found)
