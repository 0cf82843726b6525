"""hibari as a provider of realtts: the embedded voice for English, on ONNX Runtime.

- `catalogue`: the voices, their files and hashes
- `reading`: what of a text is read, and what is named as unread
- `phrases`: a text as sentences of phonemes, with the place of each word
- `network`: the graph that turns phonemes into spectra and durations
- `vocoder`: samples from spectra, block by block
- `speaking`: a request as chunks
- `plain`: the hooks

Words become phonemes in `realtts.kit.english`, and signs words in `realtts.text.english_signs`.
"""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec
from realtts_hibari.catalogue import CHECKPOINTS

__all__ = ["spec"]

spec = ProviderSpec(
    name="hibari",
    summary="hibari, embedded: natural American English, a hundred times faster than real time, without torch",
    sample_rates=(24000,),
    plain="realtts_hibari.plain:Plain",
    voices="realtts_hibari.catalogue:voices_of",
    unread="realtts_hibari.reading:unread_in",
    capabilities=frozenset({"voices", "speed", "marks", "streaming"}),
    languages=("en-us", "en"),
    checkpoints=CHECKPOINTS,
    upstream_names=(("rng", "seed"), ("phonemes", "say phonemes to espeak, in SSML: hibari takes none")),
    # Its own reading of numbers loses some; the core's gives an account of each.
    normalize="auto",
    licence="Apache-2.0",
    embedded=True,
)
