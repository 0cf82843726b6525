"""espeak-ng as a provider of realtts: the embedded voice, real speech without any download."""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec
from realtts_espeak.languages import LANGUAGES

__all__ = ["spec"]

spec = ProviderSpec(
    name="espeak",
    summary="espeak-ng, embedded: over 100 languages, far faster than real time, robotic but clear",
    sample_rates=(22050,),
    plain="realtts_espeak.plain:Plain",
    options="realtts_espeak.options:EspeakOptions",
    voices="realtts_espeak.catalogue:voices_of",
    unread="realtts_espeak.reading:unread_in",
    capabilities=frozenset(
        {"voices", "speed", "marks", "streaming", "pitch", "emphasis", "spelling", "phonemes", "gender"}
    ),
    languages=LANGUAGES,
    # No checkpoints: library and data come in the wheel of espeakng-loader, nothing is chosen or fetched.
    upstream_names=(
        ("amplitude", "volume"),
        ("gap", "word_gap"),
        ("wordgap", "word_gap"),
        ("range", "pitch_range"),
        ("words_per_minute", "rate"),
        ("wpm", "rate"),
        ("punct", "punctuation"),
    ),
    normalize="own",
    licence="GPL-3.0-or-later",
    embedded=True,
    # Nothing is sampled, so nothing runs away; while the name of one emoji may last seconds.
    max_seconds_per_char=3600.0,
)
