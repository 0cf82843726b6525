"""Chatterbox as a provider of realtts: English, Multilingual (23 languages) and Turbo.

- the request: `options`, `languages`; `text`, `scripts`, `reading`: text to tokens; `frontend`: a request as an Ask,
  in the model's terms; `presets`, `voices`, `conditionals`: the built-in voice, and from a recording to the tensors
  that the networks read
- the checkpoint: `configurations`, `files`, `sizes`, `shapes`, `shapes_speaker`, `constants`, `weights`, `loading`:
  from its files to tensors, checked by name and shape
- plain: `upstream`, `building`, `reference`, `plain`: chatterbox-tts itself, whose networks also read new voices;
  `watermark`: for both variants
- optimized: `model`; `network`, `rows`, `utterance`, `body`, `llama`, `turbo`, `alignment`, `engine`: T3 on the
  toolkit; `codec`, `flow`, `encoder`, `estimator`, `estimator_parts`, `estimator_joined`, `estimator_rows`,
  `prepared`, `layout`, `solver`, `noise`, `vocoder`, `vocoder_body`, `vocoder_graphs`, `streaming`: S3Gen;
  `speaking`, `desk`, `optimized`: requests to chunks, who computes next, and the hooks
- for tools: `testing`, `replay`: tokens, logits and scores; `checkpoint`, `vocabulary`: random weights in upstream's
  files
- `providers`: the names of the first Chatterbox document
"""

from __future__ import annotations

from realtts.contract.spec import Checkpoint, Environment, ProviderSpec
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.files import FILES
from realtts_chatterbox.languages import LANGUAGES

__all__ = ["spec"]

spec = ProviderSpec(
    name="chatterbox",
    summary="Chatterbox by Resemble AI: clones a voice from seconds of it, 23 languages, emotion as a number",
    sample_rates=(RATE,),
    plain="realtts_chatterbox.plain:Plain",
    optimized="realtts_chatterbox.optimized:Optimized",
    options="realtts_chatterbox.options:ChatterboxOptions",
    unread="realtts_chatterbox.reading:unread_in",
    voices="realtts_chatterbox.presets:voices_of",
    capabilities=frozenset({"clone", "voices", "streaming"}),
    languages=LANGUAGES,
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=FILES[configuration.name],
        )
        for configuration in CONFIGURATIONS.values()
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
    upstream_names=(
        ("cfg", "cfg_weight"),
        ("cfg_scale", "cfg_weight"),
        ("guidance_scale", "cfg_weight"),
        ("emotion_exaggeration", "exaggeration"),
        ("emotion_adv", "exaggeration"),
        ("temp", "temperature"),
        ("n_timesteps", "n_cfm_timesteps"),
        ("cfm_steps", "n_cfm_timesteps"),
        ("n_cfm_steps", "n_cfm_timesteps"),
        ("steps", "n_cfm_timesteps"),
        ("max_tokens", "max_new_tokens"),
        ("norm_loudness", "leave it out: upstream's default holds"),
        ("apply_watermark", "watermark"),
        ("conds", "voice"),
        ("conditionals", "voice"),
    ),
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
