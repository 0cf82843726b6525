"""Qwen3-TTS as a provider of realtts: Base clones, CustomVoice has speakers, VoiceDesign takes a voice's description.

- the request: `options`, `languages`; `text`, `reading`: text to tokens; `frontend`, `utterance`: a request as an Ask,
  in the model's terms; `presets`, `voices`: speakers, and the prompts of recordings
- the checkpoint: `configurations`, `files`, `sizes`, `shapes`, `constants`, `loading`: from its files to tensors,
  checked by name
- plain: `upstream`, `building`, `reference`: qwen-tts itself; `ported`: our networks without it; `plain`: the hooks
- optimized: `model`; `network`, `assembly`, `prompt`, `embedding`, `frames`, `predictor`, `noise`: the
  talker and its code predictor on the toolkit; `codec`, `codec_body`, `codec_layers`, `codec_transformer`,
  `codec_state`, `codec_graphs`, `codec_work`, `encoder`, `encoder_transformer`, `speaker`: the codec and the speaker
  encoder; `engine`: all of them; `speaking`, `runaway`, `codec_rows`: one request of a running batch, from its frames
  to its chunks; `batch`, `optimized`: the running batch, and the hooks
- for tools: `testing`, `replay`: frames, logits and scores; `checkpoint`, `vocabulary`: random weights in upstream's
  files
"""

from __future__ import annotations

from realtts.contract.spec import Checkpoint, Environment, ProviderSpec
from realtts_qwen3.configurations import CONFIGURATIONS
from realtts_qwen3.constants import RATE
from realtts_qwen3.files import FILES
from realtts_qwen3.languages import LANGUAGES, OWN_NAMES

__all__ = ["spec"]

spec = ProviderSpec(
    name="qwen3",
    summary="Qwen3-TTS by Alibaba: nine speakers, voices by description, cloning from seconds, ten languages",
    sample_rates=(RATE,),
    plain="realtts_qwen3.plain:Plain",
    optimized="realtts_qwen3.optimized:Optimized",
    options="realtts_qwen3.options:Qwen3Options",
    unread="realtts_qwen3.reading:unread_in",
    voices="realtts_qwen3.presets:voices_of",
    capabilities=frozenset({"clone", "voices", "instruct", "streaming"}),
    languages=LANGUAGES,
    language_names=OWN_NAMES,
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=FILES,
        )
        for configuration in CONFIGURATIONS.values()
    ),
    licence="MIT",
    devices=("cuda", "mps", "cpu"),
    torch=True,
    # A frame is 80 ms; the rate of speech drifts in what is much longer than a minute.
    max_chars=400,
    batch_size=8,
    # The talker has every frame of the recording in its past; a second is enough for the speaker encoder.
    reference_seconds=(1.0, 60.0),
    reference_text="optional",
    # A Chinese character lasts 0.25 s, a Latin one 0.07 s: no speech is twice as slow as the former.
    max_seconds_per_char=0.5,
    min_seconds_per_char=0.02,  # the fastest speakers need 0.04
    upstream_names=(
        ("instruction", "instruct"),
        ("instructions", "instruct"),
        ("voice_design", "instruct"),
        ("voice_description", "instruct"),
        ("style", "instruct"),
        ("x_vector_only", "x_vector_only_mode"),
        ("non_streaming", "non_streaming_mode"),
        ("subtalker_do_sample", "subtalker_dosample"),
        ("max_tokens", "max_new_tokens"),
        ("temp", "temperature"),
        ("voice_clone_prompt", "voice"),
    ),
    environment=Environment(
        python=">=3.10,<3.14",
        # For the extra `upstream`; the optimized variant needs none of it.
        overrides=("transformers>=4.57.6,<4.58", "accelerate>=1.12"),
        exclude=("torchaudio", "gradio", "onnxruntime", "sox"),
    ),
)
