"""F5-TTS and E2-TTS as a provider of realtts.

- the request: `options`; `text`, `reading`; `frontend`, with `durations`, `opening`, `noise`; `presets`; `voices`, with
  `clips` and `transcribe`
- the checkpoint: `configurations`, `files`, `sizes`, `constants`; `loading`, with `naming`, `states`
- plain: `upstream`, `building`, `reference`, `plain`, with `join` for both variants
- optimized: `model`; `network`, with `layout`, `embedding`, `attention`, `dit`, `unet`; `solver`, with `schedule`,
  `euler`, `solver_graphs`; `mel`, `vocoder`; `speaking`, with `groups`; `optimized`
- for tools: `testing`, `checkpoint`
"""

from __future__ import annotations

from realtts.contract.spec import Checkpoint, Environment, ProviderSpec
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.constants import RATE
from realtts_f5.files import files_of

__all__ = ["spec"]

spec = ProviderSpec(
    name="f5",
    summary="F5-TTS and E2-TTS: clones a voice from seconds of it and the words in them, English, Chinese, Spanish",
    sample_rates=(RATE,),
    plain="realtts_f5.plain:Plain",
    optimized="realtts_f5.optimized:Optimized",
    options="realtts_f5.options:F5Options",
    unread="realtts_f5.reading:unread_in",
    voices="realtts_f5.presets:voices_of",
    capabilities=frozenset({"clone", "voices", "speed", "streaming"}),
    # The networks are told no language: a checkpoint speaks what it was trained on.
    languages=(),
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=files_of(configuration),
        )
        for configuration in CONFIGURATIONS.values()
        if configuration.source
    ),
    configurations=tuple(
        dict.fromkeys((*CONFIGURATIONS, *(each.upstream for each in CONFIGURATIONS.values())))
    ),
    licence="MIT",
    devices=("cuda", "mps", "cpu"),
    torch=True,
    # Text of any length: chunks share forwards, and their sizes follow from the recording.
    max_chars=None,
    batch_size=8,
    # What is longer than 12 s is clipped, as upstream does.
    reference_seconds=(0.5, 60.0),
    reference_text="optional",
    # As slowly as the reference is spoken, and texts under 10 bytes at 0.3 of that.
    max_seconds_per_char=2.0,
    upstream_names=(
        ("nfe", "nfe_step"),
        ("nfe_steps", "nfe_step"),
        ("steps", "nfe_step"),
        ("num_steps", "nfe_step"),
        ("infer_steps", "nfe_step"),
        ("num_inference_steps", "nfe_step"),
        ("cfg", "cfg_strength"),
        ("cfg_scale", "cfg_strength"),
        ("guidance_scale", "cfg_strength"),
        ("sway", "sway_sampling_coef"),
        ("sway_coef", "sway_sampling_coef"),
        ("cross_fade", "cross_fade_duration"),
        ("rms", "target_rms"),
        ("duration", "fix_duration"),
        ("whisper_model", "asr_model"),
        ("ode_method", "leave it out: the solver is Euler's, as upstream's default is"),
        ("use_ema", "leave it out: the averaged weights of a checkpoint are taken"),
        ("vocab_file", "put vocab.txt beside the weights"),
        ("vocoder_local_path", "put the vocoder beside the weights, in a folder named vocos"),
        ("hf_cache_dir", "set HF_HOME in the environment"),
        ("file_wave", "save the speech: generate(...).save(file)"),
        ("model_cfg", "configuration"),
    ),
    environment=Environment(
        python=">=3.10,<3.14",
        overrides=("torch>=2.6", "torchaudio>=2.6"),
        exclude=(
            "accelerate", "bitsandbytes", "cached_path", "click", "datasets", "ema_pytorch", "gradio", "hydra-core",
            "librosa", "matplotlib", "tomli", "torchcodec", "transformers", "transformers_stream_generator",
            "unidecode", "wandb",
        ),
    ),
)  # fmt: skip
