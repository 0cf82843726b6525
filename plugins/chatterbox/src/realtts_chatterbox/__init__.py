"""Chatterbox as a provider of realtts: English, Multilingual (23 languages) and Turbo.

- `frontend`, `text`, `options`: from a request to ids, sampling parameters and limits
- `conditioning`, `conditionals`: from a recording to what the networks take of a voice
- `files`, `sizes`, `building`, `loading`: from a checkpoint's files to networks
- `upstream`, `reference`, `plain`: the plain variant, chatterbox-tts itself
- `testing`, `checkpoint`, `vocabulary`: random weights in upstream's files
"""

from __future__ import annotations

from realtts.spec import Checkpoint, Environment, ProviderSpec
from realtts_chatterbox.files import FILES, HUB_IDS
from realtts_chatterbox.languages import LANGUAGES

__all__ = ["spec"]

_SIZES = {"english": None, "multilingual": None, "turbo": None}

spec = ProviderSpec(
    name="chatterbox",
    summary="Chatterbox by Resemble AI: clones a voice from seconds of it, 23 languages, emotion as a number",
    sample_rates=(24_000,),
    plain="realtts_chatterbox.plain:Plain",
    optimized="realtts_chatterbox.optimized:Optimized",
    options="realtts_chatterbox.options:ChatterboxOptions",
    capabilities=frozenset({"clone", "voices", "streaming"}),
    languages=LANGUAGES,
    checkpoints=tuple(
        Checkpoint(kind, source=HUB_IDS[kind], size_bytes=_SIZES[kind], licence="MIT", files=files)
        for kind, files in FILES.items()
    ),
    licence="MIT",
    devices=("cuda", "mps", "cpu"),
    torch=True,
    # Upstream grows unstable beyond 25 to 30 s of speech, which is 400 characters; some are said slowly.
    max_chars=300,
    batch_size=8,
    # The flow takes 10 s at most and T3 up to 15 s; Turbo wants more than 5 s, which is checked with the request.
    reference_seconds=(1.0, 60.0),
    # A Chinese character lasts 0.25 s, a Latin one 0.07 s: no speech is twice as slow as the former.
    max_seconds_per_char=0.5,
    min_seconds_per_char=0.02,  # the fastest speakers need 0.04
    environment=Environment(
        python=">=3.10,<3.14",
        # spacy-pkuseg and pykakasi, for Chinese and Japanese, are installed by the plugin's extra "cjk".
        overrides=(
            "torch>=2.6",
            "torchaudio>=2.6",
            "transformers>=5.15",
            "numpy>=2",
            "safetensors>=0.5.3",
        ),
        exclude=("gradio", "spacy-pkuseg", "pykakasi"),
    ),
)
