"""Qwen3-TTS as a provider of realtts: Base clones, CustomVoice has speakers, VoiceDesign is told what voice.

- `frontend`, `text`, `languages`, `options`: from a request to ids, sampling parameters and limits
- `voices`: from a recording to what the networks take of a voice
- `files`, `sizes`, `shapes`, `loading`: from a checkpoint's files to tensors, checked by name
- `upstream`, `building`, `reference`, `plain`: the plain variant, qwen-tts itself where it is installed; else `own`
- `optimized`, `engine`, `runaway`: the optimized variant
- `network`, `prompt`, `embedding`, `frames`, `predictor`, `noise`: the talker and its code predictor, on the toolkit
- `codec` with `codec_*`, `encoder` with `encoder_*`, `speaker`, `mel`: the codec and the speaker encoder
- `testing`, `checkpoint`, `configurations`, `vocabulary`: random weights in upstream's files

"""

from __future__ import annotations

from realtts.spec import Checkpoint, Environment, ProviderSpec
from realtts_qwen3.files import FILES, MODELS
from realtts_qwen3.languages import LANGUAGES

__all__ = ["spec"]

spec = ProviderSpec(
    name="qwen3",
    summary="Qwen3-TTS by Alibaba: nine speakers, voices by description, cloning from seconds, ten languages",
    sample_rates=(24_000,),
    plain="realtts_qwen3.plain:Plain",
    optimized="realtts_qwen3.optimized:Optimized",
    options="realtts_qwen3.options:Qwen3Options",
    capabilities=frozenset({"clone", "voices", "instruct", "streaming"}),
    languages=LANGUAGES,
    checkpoints=tuple(
        Checkpoint(name, source=hub_id, licence="Apache-2.0", files=FILES) for name, hub_id in MODELS.items()
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
    environment=Environment(
        python=">=3.10,<3.14",
        # For the extra `upstream`; the optimized variant needs none of it.
        overrides=("transformers>=4.57.6,<4.58", "accelerate>=1.12"),
        exclude=("torchaudio", "gradio", "onnxruntime", "sox"),
    ),
)
