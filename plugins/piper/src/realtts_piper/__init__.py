"""Piper's voices as a provider of realtts, on ONNX Runtime: over forty languages, many times faster than real time.

- `catalogue`: the hub's voices by name
- `files`: the files of a voice: of a folder, a package or the hub
- `voice`: its configuration, checked; phonemes as the graph's numbers
- `languages`: what is known of a voice before it is loaded
- `options`: the options of a request
- `phonemizers`: piper-tts' own phonemizers, one at a time
- `reading`: what of a text a voice reads, and what is named as unread
- `phrases`: a text as sentences of phonemes, with the place of each word
- `network`: the graph, whole or in parts, with the noise of a seed
- `windows`: where the vocoder's windows lie, and how far each sees
- `speaking`: a request as chunks
- `plain`, `optimized`: the hooks
- `testing`: voices with random weights, in Piper's own files
"""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec
from realtts_piper.catalogue import CHECKPOINTS, LANGUAGES, RATES

__all__ = ["spec"]

spec = ProviderSpec(
    name="piper",
    summary="Piper: small voices in over forty languages on ONNX Runtime, without torch; your own ones too",
    sample_rates=RATES,
    plain="realtts_piper.plain:Plain",
    optimized="realtts_piper.optimized:Optimized",
    options="realtts_piper.options:PiperOptions",
    voices="realtts_piper.languages:voices_of",
    unread="realtts_piper.languages:unread_in",
    checkpoint_languages="realtts_piper.languages:languages_of",
    capabilities=frozenset({"voices", "speed", "marks", "streaming", "phonemes"}),
    languages=LANGUAGES,
    checkpoints=CHECKPOINTS,
    licence="GPL-3.0-or-later",
    devices=("cuda", "cpu"),
    # espeak reads numbers too, but loses signs; what the core has no words for is left to it.
    normalize="auto",
    upstream_names=(
        ("speaker", "voice"),
        ("speaker_id", "voice"),
        ("noise_w", "noise_w_scale"),
        ("syn_config", "give its fields as options"),
        ("include_alignments", "leave it out: every word is a mark"),
        ("use_cuda", "device"),
        ("espeak_data_dir", "leave it out: the data of piper-tts is used"),
        ("download_dir", "hf_cache_dir"),
    ),
)
