"""VieNeu-TTS as a provider of realtts: Vietnamese and English, v1, 0.3B and v2 on NeuCodec, and v3 Turbo.

- `frontend`, `text`, `prompt`, `options`: from a request to sentences, phonemes, ids, sampling parameters and limits
- `voices`: preset voices, saved codes, and from a recording to codes
- `configurations`, `files`, `sizes`, `shapes`, `loading`: from a checkpoint's files to tensors, checked by name
- `upstream`, `building`, `reference`, `plain`: the plain variant on transformers; `turbo`: v3 by upstream's package
- `optimized`, `engine`, `speaking`: the optimized variant
- `utterance`, `network`, `embedding`, `head`, `prefixes`, `drawing`, `batch`: the language model on the toolkit
- `codec` with `codec_*`, `windows`, `encoder`, `features`: NeuCodec
- `testing`, `checkpoint`, `turbo_checkpoint`, `vocabulary`: random weights in upstream's files
"""

from __future__ import annotations

from realtts.spec import Checkpoint, Environment, ProviderSpec
from realtts_vieneu.configurations import CONFIGURATIONS
from realtts_vieneu.files import files_of

__all__ = ["spec"]

spec = ProviderSpec(
    name="vieneu",
    summary="VieNeu-TTS: Vietnamese and English in preset voices and in those of recordings with their words",
    sample_rates=(24_000, 48_000),
    plain="realtts_vieneu.plain:Plain",
    optimized="realtts_vieneu.optimized:Optimized",
    options="realtts_vieneu.options:VieNeuOptions",
    capabilities=frozenset({"clone", "voices", "streaming"}),
    languages=("vi", "en"),
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=files_of(configuration),
        )
        for configuration in CONFIGURATIONS.values()
    ),
    licence="MIT",
    devices=("cuda", "mps", "cpu"),
    torch=True,
    # Text of any length: its sentences are spoken together.
    max_chars=None,
    batch_size=8,
    # Upstream asks for 3 to 5 s. A second is 50 tokens of the 2048 that recording, words, text and speech share.
    reference_seconds=(1.0, 30.0),
    reference_text="required",
    # Every sentence has a limit of its own, by its phonemes. This one, of a whole text, lets pass what is long though
    # nothing ran away: a digit may be a word or two, and a line of one digit is a second and a pause.
    max_seconds_per_char=3.0,
    min_seconds_per_char=0.02,  # the fastest speakers need 0.04
    environment=Environment(
        python=">=3.10,<3.14",
        overrides=("transformers>=5.23",),
        # Upstream's package, of the extra "v3", asks for them on behalf of its apps.
        exclude=("gradio", "librosa"),
    ),
)
