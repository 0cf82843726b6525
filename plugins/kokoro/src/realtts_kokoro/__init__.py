"""Kokoro-82M as a provider of realtts, on ONNX Runtime: 54 voices in nine languages, and blends of them.

- `catalogue`: the published voices, languages and weights
- `files`: the model's files: of a folder, of packages or of the hub
- `voices`: tables of styles, and blends of them
- `vocabulary`: the symbols that the graph reads
- `options`: the options of a request
- `phonemizers`: words as phonemes, by the phonemizer of a language
- `espeak`: espeak-ng's phonemes in Kokoro's alphabet
- `spoken`: the voice and the language of a request, and whether what it needs is installed
- `reading`: what of a text is read, and what is named as unread
- `phrases`: a text as sentences of phonemes, with the place of each word
- `network`: the graph, with the length of each phoneme
- `speaking`: a request as chunks
- `plain`, `optimized`: the hooks
- `testing`: a model with random weights, in Kokoro's own files
"""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec
from realtts_kokoro.catalogue import CHECKPOINTS, LANGUAGES

__all__ = ["spec"]

spec = ProviderSpec(
    name="kokoro",
    summary="Kokoro-82M: 54 natural voices in nine languages and blends of them, on ONNX Runtime, without torch",
    sample_rates=(24000,),
    plain="realtts_kokoro.plain:Plain",
    optimized="realtts_kokoro.optimized:Optimized",
    options="realtts_kokoro.options:KokoroOptions",
    voices="realtts_kokoro.voices:voices_of",
    unread="realtts_kokoro.reading:unread_in",
    check_request="realtts_kokoro.spoken:check_request",
    capabilities=frozenset({"voices", "blends", "speed", "marks", "streaming", "phonemes"}),
    languages=LANGUAGES,
    checkpoints=CHECKPOINTS,
    licence="Apache-2.0",
    devices=("cuda", "cpu"),
    normalize="auto",
    upstream_names=(
        ("lang", "language"),
        ("lang_code", "language"),
        ("is_phonemes", 'say phonemes in SSML: <phoneme alphabet="ipa" ph="...">'),
        ("trim", "leave it out: nothing is cut off"),
        ("model_path", "model"),
        ("voices_path", "put the voices beside the graph, and give the folder as model"),
    ),
)
