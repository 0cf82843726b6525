"""Tiny random checkpoints of the three models, and short ways to use them."""

from __future__ import annotations

import functools
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("realtts_chatterbox")


from realtts.accel.upstream.calls import quiet
from realtts.contract.spec import Checkpoint
from realtts.testing import voice_like
from realtts_chatterbox import spec
from realtts_chatterbox.files import BUILTIN
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.reference import Upstream
from realtts_chatterbox.upstream import load_upstream, module
from realtts_chatterbox.watermark import Watermarker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from realtts.contract.spec import ProviderSpec
    from realtts_chatterbox.loading import Weights


@pytest.fixture(scope="session")
def imported() -> None:
    """Upstream's package."""
    load_upstream()


@pytest.fixture(scope="session", autouse=True)
def _watermarker_stays(imported: None) -> Iterator[None]:
    """Keep one, whose network those of all providers share, so that it is read once."""
    kept = Watermarker()
    yield
    del kept


@pytest.fixture(scope="session")
def plugin() -> ProviderSpec:
    """The plugin's own."""
    return spec


@pytest.fixture(scope="session")
def written() -> dict[str, object]:
    """With a pitch, so that the vocoder's source is heard."""
    return {"f0_bias": 120.0}


@pytest.fixture(scope="session")
def weights_of(folders: Callable[[str], Path]) -> Callable[[str], Weights]:
    """The same checkpoints, opened."""

    @functools.cache
    def weights(model: str) -> Weights:
        return open_checkpoint(fetch(Checkpoint(name=model, path=folders(model))))

    return weights


@pytest.fixture(scope="session")
def networks_of(weights_of: Callable[[str], Weights]) -> Callable[[str], Upstream]:
    """The same checkpoints as upstream's networks."""

    @functools.cache
    def networks(model: str) -> Upstream:
        return Upstream(weights_of(model), "cpu")

    return networks


@pytest.fixture(scope="session")
def upstream_of(folders: Callable[[str], Path], weights_of: Callable[[str], Weights]) -> Callable[[str], object]:
    """Upstream's own objects around the same weights; its sizes are fixed, so its networks are filled here."""

    @functools.cache
    def upstream(model: str) -> object:
        return _upstream(weights_of(model), folders(model))

    return upstream


def tokenizer_in(folder: Path, kind: str) -> Any:
    """Upstream's own tokenizer over a checkpoint's vocabulary, with its table of Chinese, which it would download."""
    if kind == "turbo":
        return module("transformers").AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizers = module("chatterbox.models.tokenizers.tokenizer")
    if kind == "english":
        return tokenizers.EnTokenizer(str(folder / "tokenizer.json"))
    reader = object.__new__(tokenizers.MTLTokenizer)
    reader.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "grapheme_mtl_merged_expanded_v1.json"))
    converter = reader.cangjie_converter = object.__new__(tokenizers.ChineseCangjieConverter)
    converter.word2cj, converter.cj2word = {}, {}
    for entry in json.loads((folder / "Cangjie5_TC.json").read_text(encoding="utf-8")):
        word, code = entry.split("\t")
        converter.word2cj[word] = code
        converter.cj2word.setdefault(code, []).append(word)
    # The library downloads its model when it is made; what stands in for it in a test has no file.
    library = sys.modules.get("spacy_pkuseg")
    if library is None or getattr(library, "__file__", None):
        converter.segmenter = None
    else:
        converter._init_segmenter()
    return reader


@pytest.fixture
def tokenizer_of(folders: Callable[[str], Path]) -> Callable[[str], Any]:
    """Upstream's tokenizer of a model."""
    return lambda kind: tokenizer_in(folders(kind), kind)


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Six seconds of a voice-like sound at 24 kHz: Turbo refuses less than five."""
    return voice_like(6)


def _upstream(weights: Weights, folder: Path) -> object:
    """Upstream's own object around networks of its own, without its constructor's watermarker."""
    networks = Upstream(weights, "cpu")
    with quiet():
        from chatterbox import mtl_tts, tts, tts_turbo

        by_kind = {
            "english": (tts, tts.ChatterboxTTS),
            "multilingual": (mtl_tts, mtl_tts.ChatterboxMultilingualTTS),
            "turbo": (tts_turbo, tts_turbo.ChatterboxTurboTTS),
        }
        own, cls = by_kind[weights.configuration.name]
    made = object.__new__(cls)
    made.sr, made.device = 24_000, "cpu"
    made.t3, made.s3gen, made.ve = networks.t3, networks.s3gen, networks.encoders.voice
    made.tokenizer = tokenizer_in(folder, weights.configuration.name)
    made.conds = own.Conditionals.load(folder / BUILTIN)
    made.watermarker = type("NoMark", (), {"apply_watermark": lambda self, wave, sample_rate: wave})()
    return made
