"""Upstream's networks around a checkpoint's tensors, filled by name, without a second copy of the weights.

Upstream builds them with random weights first and copies the file's over them, so that all weights lie in memory
twice. Here a weight that nobody has filled lies on the device "meta"; what the constructors compute (positional
encodings, windows, mel filters, rotary frequencies) is computed as ever.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet, with_names
from realtts.accel.upstream.networks import Unfilled, fill
from realtts.accel.weights.tensorfile import Tensors, read_state
from realtts_chatterbox.files import COMPUTED, spare_in
from realtts_chatterbox.sizes import HEAD_SIZE, S3GenSizes, T3Sizes
from realtts_chatterbox.upstream import module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realtts_chatterbox.weights import Weights

__all__ = [
    "Encoders",
    "empty_s3gen",
    "empty_t3",
    "empty_voice_encoder",
    "encoders_of",
    "s3gen_of",
    "t3_of",
    "voice_encoder_of",
]

_S3GEN = "chatterbox.models.s3gen.s3gen"
_UPSAMPLE = "chatterbox.models.s3gen.transformer.upsample_encoder"
_SPEAKS = ("UpsampleConformerEncoder", "ConditionalDecoder", "CausalConditionalCFM", "CausalMaskedDiffWithXvec")
"""Upstream's classes of the networks from tokens to mel."""


@dataclass
class Encoders:
    """Upstream's networks that make conditionals of a recording.

    Attributes:
        voice: ``VoiceEncoder``, for T3.
        tokenizer: ``S3Tokenizer``, for T3 and the flow.
        speaker: ``CAMPPlus``, for the flow.
    """

    voice: Any
    tokenizer: Any
    speaker: Any


def t3_of(weights: Weights, device: str) -> Any:
    """Build upstream's T3 of a checkpoint, float32, in evaluation mode.

    Raises:
        CheckpointCorrupt: A tensor cannot be read.
        CheckpointMismatch: The file has become another since it was opened.
    """
    return _filled(empty_t3(weights.configuration.name, weights.t3_sizes), weights.t3_file, device)


def s3gen_of(weights: Weights, device: str) -> Any:
    """Build upstream's S3Gen with all its parts; as `t3_of`."""
    return _filled(empty_s3gen(weights.configuration.name, weights.s3gen_sizes), weights.s3gen_file, device)


def voice_encoder_of(weights: Weights, device: str) -> Any:
    """Build upstream's speaker encoder for T3; as `t3_of`."""
    return _filled(empty_voice_encoder(), weights.voice_file, device)


def encoders_of(weights: Weights, device: str) -> Encoders:
    """Build the networks that make conditionals, without those that speak; as `t3_of`."""
    own, path = module(_S3GEN).S3Token2Mel, weights.s3gen_file
    with _emptying():
        s3gen = own.__new__(own)
        with_names(own.__init__, **_encoders(weights.s3gen_sizes), **dict.fromkeys(_SPEAKS, _left_out))(s3gen)
    return Encoders(
        voice_encoder_of(weights, device),
        _filled(s3gen.tokenizer, path, device, "tokenizer."),
        _filled(s3gen.speaker_encoder, path, device, "speaker_encoder."),
    )


def empty_t3(kind: str, sizes: T3Sizes) -> Any:
    """Build upstream's T3 without weights; Turbo's without the backbone's embedding, which upstream deletes too."""
    with _emptying():
        t3 = module("chatterbox.models.t3").T3(_t3_config(kind, sizes))
        if kind == "turbo":
            del t3.tfmr.wte
        elif sizes.hidden != T3Sizes.hidden:
            perceiver = module("chatterbox.models.t3.modules.perceiver").Perceiver
            t3.cond_enc.perceiver = perceiver(pre_attention_query_size=sizes.hidden, embedding_dim=sizes.hidden)
    return t3


def empty_s3gen(kind: str, sizes: S3GenSizes) -> Any:
    """Build upstream's S3Gen without weights: speech tokenizer, speaker encoder, flow and vocoder.

    Upstream's constructors fix all sizes. They are run as they are, but make the networks that they name in these.
    """
    own = module(_S3GEN)
    to_mel = with_names(own.S3Token2Mel.__init__, **_encoders(sizes), **_flow(sizes))

    class Above:
        """What the outer constructor finds where it asks for the inner one."""

        @staticmethod
        def __init__(meanflow: bool) -> None:
            to_mel(s3gen, meanflow)

    with _emptying():
        s3gen = own.S3Token2Wav.__new__(own.S3Token2Wav)
        with_names(own.S3Token2Wav.__init__, super=lambda *_: Above, **_vocoder(sizes))(s3gen, kind == "turbo")
    return s3gen


def empty_voice_encoder() -> Any:
    """Build upstream's speaker encoder for T3 without weights."""
    with _emptying():
        return module("chatterbox.models.voice_encoder").VoiceEncoder()


@contextlib.contextmanager
def _emptying() -> Iterator[None]:
    """Run constructors without output, weights and effect on torch's random numbers."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        yield


def _filled(network: Any, path: Path, device: str, prefix: str = "") -> Any:
    """Fill a network with the tensors of a file whose names begin with the prefix."""
    state = Tensors(read_state(path), prefix)
    fill(network, state, device, f"file {path.name!r}", computed=COMPUTED, spare=spare_in(path, state))
    return network


def _t3_config(kind: str, sizes: T3Sizes) -> Any:
    configs = module("chatterbox.models.t3.llama_configs").LLAMA_CONFIGS
    name = "GPT2_medium" if kind == "turbo" else "Llama_520M"
    shape = (
        {"n_layer": sizes.layers, "n_embd": sizes.hidden, "hidden_size": sizes.hidden, "n_head": sizes.heads,
         "n_inner": sizes.intermediate}
        if kind == "turbo"
        else {"num_hidden_layers": sizes.layers, "hidden_size": sizes.hidden, "intermediate_size": sizes.intermediate,
              "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.heads}
    )  # fmt: skip
    if any(configs[name].get(key, value) != value for key, value in shape.items()):
        # Upstream takes sizes from this table alone, so other sizes get an entry of their own in it.
        entry = f"{name}_{'x'.join(map(str, shape.values()))}"
        configs.setdefault(entry, {**configs[name], **shape})
        name = entry
    config = module("chatterbox.models.t3.modules.t3_config").T3Config(text_tokens_dict_size=sizes.text_vocabulary)
    config.llama_config_name, config.speech_tokens_dict_size = name, sizes.speech_vocabulary
    if kind == "turbo":
        config.input_pos_emb, config.speech_cond_prompt_len = None, 375
        config.use_perceiver_resampler = config.emotion_adv = False
    return config


def _encoders(sizes: S3GenSizes) -> dict[str, Any]:
    """Return what makes the networks that read a recording, by the names of upstream's classes."""
    own = module(_S3GEN)

    def tokenizer(name: str) -> Any:
        made, layers, width = own.S3Tokenizer(name), sizes.tokenizer_layers, sizes.tokenizer_width
        config = made.config
        if (layers, width) != (config.n_audio_layer, config.n_audio_state):  # upstream does not hand a config on
            v2, heads = module("s3tokenizer.model_v2"), max(1, width // HEAD_SIZE)
            made.encoder = v2.AudioEncoderV2(config.n_mels, width, heads, layers, 2, use_sdpa=False)
            made.quantizer = v2.FSQVectorQuantization(width, config.n_codebook_size)
        return made

    speaker = {"init_channels": sizes.speaker_width, "growth_rate": sizes.speaker_growth}
    return {"S3Tokenizer": tokenizer, "CAMPPlus": functools.partial(own.CAMPPlus, **speaker)}


def _flow(sizes: S3GenSizes) -> dict[str, Any]:
    """Return what makes the networks from tokens to mel, by the names of upstream's classes."""
    own, upsample, width = module(_S3GEN), module(_UPSAMPLE), sizes.encoder_width

    def encoder(**given: Any) -> Any:
        shape = {"input_size": width, "output_size": width, "attention_heads": sizes.encoder_heads}
        shape |= {"linear_units": sizes.encoder_inner, "num_blocks": sizes.encoder_layers}
        made = own.UpsampleConformerEncoder(**{**given, **shape})
        if width != S3GenSizes.encoder_width:  # its own constructor fixes the width of these
            made.pre_lookahead_layer = upsample.PreLookaheadLayer(channels=width, pre_lookahead_len=3)
            made.up_layer = upsample.Upsample1D(channels=width, out_channels=width, stride=2)
        made.up_encoders = made.up_encoders[: sizes.up_layers]
        return made

    def estimator(**given: Any) -> Any:
        shape = {"channels": [sizes.estimator_width], "num_heads": sizes.estimator_heads}
        shape |= {"n_blocks": sizes.blocks, "num_mid_blocks": sizes.mid_blocks}
        return own.ConditionalDecoder(**{**given, **shape})

    return {
        "UpsampleConformerEncoder": encoder,
        "ConditionalDecoder": estimator,
        "CausalMaskedDiffWithXvec": functools.partial(own.CausalMaskedDiffWithXvec, input_size=width),
    }


def _vocoder(sizes: S3GenSizes) -> dict[str, Any]:
    """Return what makes the networks from mel to samples, by the names of upstream's classes."""
    own = module(_S3GEN)
    return {
        "ConvRNNF0Predictor": functools.partial(own.ConvRNNF0Predictor, cond_channels=sizes.pitch_width),
        "HiFTGenerator": functools.partial(own.HiFTGenerator, base_channels=sizes.vocoder_width),
    }


def _left_out(**_: Any) -> None:
    """Make nothing, in place of a network that is not needed."""
