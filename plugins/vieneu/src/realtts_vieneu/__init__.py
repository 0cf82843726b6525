"""VieNeu-TTS as a provider of realtts: Vietnamese and English, v1, 0.3B and v2 on NeuCodec, and v3 Turbo.

- the request: `options`; `text`, with `written`, `sea`, `losses`, `reading`, and `prompt`: from text to phonemes, and
  from these to tokens; `frontend`, `utterance`: a request as an Ask, in the model's terms; `presets`, `voices`:
  presets, saved codes, and codes of recordings
- the checkpoint: `configurations`, `files`, `sizes`, `shapes`, `codec_sizes`, `codec_names`, `constants`, `loading`:
  from its files to tensors, checked by name and shape
- plain: `upstream`, `building`, `reference`, `plain`: transformers' own networks; `turbo`: v3 by upstream's package
- optimized: `model`; `network`, `embedding`, `head`, `prefixes`, `forcing`, `drawing`: the language model on the
  toolkit, its rows come and go; `codec`, `codec_body`, `codec_layers`, `codec_graphs`, `windows`, `encoder`,
  `features`: NeuCodec; `engine`: both; `line`, `passage`: a sentence and a request that are being spoken; `given`,
  `speaking`, `optimized`: from requests that join and leave to chunks, and the hooks
- for `realtts bench` and `realtts verify`: `testing`, `replay`; `checkpoint`, `turbo_checkpoint`, `vocabulary`: random
  weights in upstream's files
"""

from __future__ import annotations

from realtts.contract.spec import Checkpoint, Environment, ProviderSpec
from realtts_vieneu.configurations import CONFIGURATIONS, TURBO
from realtts_vieneu.constants import RATE, TURBO_RATE
from realtts_vieneu.files import files_of

__all__ = ["spec"]

spec = ProviderSpec(
    name="vieneu",
    summary="VieNeu-TTS: Vietnamese and English in preset voices and in those of recordings with their words",
    sample_rates=(RATE, TURBO_RATE),
    plain="realtts_vieneu.plain:Plain",
    optimized="realtts_vieneu.optimized:Optimized",
    options="realtts_vieneu.options:VieNeuOptions",
    unread="realtts_vieneu.reading:unread_in",
    voices="realtts_vieneu.presets:voices_of",
    capabilities=frozenset({"clone", "voices", "streaming"}),
    languages=("vi", "en"),
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=files_of(configuration),
            sample_rate=TURBO_RATE if configuration.name == TURBO else RATE,
        )
        for configuration in CONFIGURATIONS.values()
    ),
    licence="MIT",
    devices=("cuda", "mps", "cpu"),
    torch=True,
    # Text of any length: its sentences are spoken together.
    max_chars=None,
    batch_size=8,
    # Upstream recommends 3 to 5 s. A second is 50 tokens of the 2048 that recording, words, text and speech share.
    reference_seconds=(1.0, 30.0),
    reference_text="required",
    # Each sentence has its own limit, by its phonemes. This one, of a whole text, has to allow for texts that are long
    # though nothing ran away: a digit may be a word or two, and a line of one digit is a second and a pause.
    max_seconds_per_char=3.0,
    normalize="own",
    min_seconds_per_char=0.02,  # the fastest speakers need 0.04
    configurations=tuple(CONFIGURATIONS),
    upstream_names=(
        ("silence_p", "silence"),
        ("apply_watermark", "leave it out: no watermark is laid over the sound"),
        ("skip_normalize", "leave it out: numbers and signs are always read as words"),
        ("crossfade_p", "silence"),
        ("show_progress", "leave it out"),
        ("max_length", "max_new_tokens"),
        ("max_tokens", "max_new_tokens"),
        ("voices_path", "voices_file"),
        ("temp", "temperature"),
        ("lookforward", "look_ahead"),
        ("lookahead", "look_ahead"),
    ),
    environment=Environment(
        python=">=3.10,<3.14",
        overrides=("transformers>=5.23",),
        # Upstream's package, of the extra "v3", asks for them on behalf of its apps.
        exclude=("gradio", "librosa"),
    ),
)
