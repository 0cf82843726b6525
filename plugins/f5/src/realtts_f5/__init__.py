"""F5-TTS and E2-TTS as a provider of realtts.

- `frontend`, `text`, `durations`, `opening`, `reference`, `options`, `transcribe`: from a request to chunks, their
  lengths and ids, and a prepared recording
- `configurations`, `architecture`, `files`, `states`, `loading`, `building`: from a checkpoint's files to networks
- `upstream`, `sampling`, `join`, `noise`, `plain`: the plain variant, f5-tts itself
- `optimized`, `model`, `speaking`: the optimized variant; `solver`, `schedule`, `graphs`: how it solves
- `network`, `dit`, `unet`, `embedding`, `attention`, `products`, `layout`, `weights`: its networks; `mel`, `vocoder`
- `testing`, `checkpoint`: random weights in upstream's files
"""

from __future__ import annotations

from realtts.spec import Checkpoint, Environment, ProviderSpec
from realtts_f5.configurations import CONFIGURATIONS

__all__ = ["spec"]

spec = ProviderSpec(
    name="f5",
    summary="F5-TTS and E2-TTS: clones a voice from seconds of it and the words in them, English, Chinese, Spanish",
    sample_rates=(24_000,),
    plain="realtts_f5.plain:Plain",
    optimized="realtts_f5.optimized:Optimized",
    options="realtts_f5.options:F5Options",
    capabilities=frozenset({"clone", "voices", "speed", "streaming"}),
    # The networks are told no language: a checkpoint speaks what it was trained on.
    languages=(),
    checkpoints=tuple(
        Checkpoint(
            configuration.name,
            source=configuration.source,
            size_bytes=configuration.size_bytes,
            licence=configuration.licence,
            files=configuration.files,
        )
        for configuration in CONFIGURATIONS.values()
        if configuration.source
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
