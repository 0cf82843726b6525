"""Upstream's networks around a checkpoint's tensors, filled by name, without a second copy of the weights.

Upstream builds them with random weights first and copies the file's over them, so that all weights lie in memory
twice. Here a weight that nobody has filled lies on the device "meta"; what the constructors compute (positional
encodings, windows, mel filters, rotary frequencies) is computed as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts.accel.weights.tensorfile import Tensors, read_state
from realtts.kit.shards import INDEX_SUFFIX
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.sizes import HEAD_SIZE, S3GenSizes, T3Sizes
from realtts_chatterbox.upstream import module

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from realtts_chatterbox.weights import Weights

__all__ = [
    "COMPUTED",
    "Encoders",
    "empty_s3gen",
    "empty_t3",
    "empty_voice_encoder",
    "encoders_of",
    "s3gen_of",
    "spare_in",
    "t3_of",
    "voice_encoder_of",
]

COMPUTED = ("_mel_filters", "window")
"""Ends of names of the speech tokenizer's tensors that some of upstream's files leave out."""


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


def spare_in(path: Path, names: Collection[str]) -> Collection[str]:
    """Return the names of a file's tensors that may be there although no network has a place for them.

    In ``s3gen.safetensors`` any, because upstream loads it without ``strict``; of Turbo's T3 the embedding of its
    backbone, which upstream deletes.
    """
    name = path.name.removesuffix(INDEX_SUFFIX)
    if name == "s3gen.safetensors":
        return names
    return ("tfmr.wte.weight",) if name == T3_FILES["turbo"] else ()


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
    s3gen, path = empty_s3gen(weights.configuration.name, weights.s3gen_sizes), weights.s3gen_file
    return Encoders(
        voice_encoder_of(weights, device),
        _filled(s3gen.tokenizer, path, device, "tokenizer."),
        _filled(s3gen.speaker_encoder, path, device, "speaker_encoder."),
    )


def empty_t3(kind: str, sizes: T3Sizes) -> Any:
    """Build upstream's T3 without weights; Turbo's without the backbone's embedding, which upstream deletes too."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        t3 = module("chatterbox.models.t3").T3(_t3_config(kind, sizes))
        if kind == "turbo":
            del t3.tfmr.wte
        elif sizes.hidden != T3Sizes.hidden:
            perceiver = module("chatterbox.models.t3.modules.perceiver").Perceiver
            t3.cond_enc.perceiver = perceiver(pre_attention_query_size=sizes.hidden, embedding_dim=sizes.hidden)
    return t3


def empty_s3gen(kind: str, sizes: S3GenSizes) -> Any:
    """Build upstream's S3Gen without weights: speech tokenizer, speaker encoder, flow and vocoder."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        s3gen = module("chatterbox.models.s3gen").S3Gen(meanflow=kind == "turbo")
        if sizes != S3GenSizes():
            _resize(s3gen, sizes)
    return s3gen


def empty_voice_encoder() -> Any:
    """Build upstream's speaker encoder for T3 without weights."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        return module("chatterbox.models.voice_encoder").VoiceEncoder()


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


def _resize(s3gen: Any, sizes: S3GenSizes) -> None:
    """Replace the networks that upstream's constructor made by upstream's networks of other sizes."""
    v2, width = module("s3tokenizer.model_v2"), sizes.tokenizer_width
    tokenizer, heads = s3gen.tokenizer, max(1, width // HEAD_SIZE)
    layers = sizes.tokenizer_layers
    tokenizer.encoder = v2.AudioEncoderV2(tokenizer.config.n_mels, width, heads, layers, 2, use_sdpa=False)
    tokenizer.quantizer = v2.FSQVectorQuantization(width, tokenizer.config.n_codebook_size)
    s3gen.speaker_encoder = module("chatterbox.models.s3gen.xvector").CAMPPlus(
        init_channels=sizes.speaker_width, growth_rate=sizes.speaker_growth, memory_efficient=False
    )
    encoder, estimator = _encoder(sizes), _estimator(s3gen.meanflow, sizes)
    flow = module("chatterbox.models.s3gen.flow").CausalMaskedDiffWithXvec
    s3gen.flow.decoder.estimator = estimator
    s3gen.flow = flow(input_size=sizes.encoder_width, encoder=encoder, decoder=s3gen.flow.decoder)
    s3gen.mel2wav = _vocoder(s3gen.mel2wav.sampling_rate, sizes)


def _encoder(sizes: S3GenSizes) -> Any:
    """Build the flow's encoder as S3Gen's constructor does, and the layers whose width its own constructor fixes."""
    upsample, width = module("chatterbox.models.s3gen.transformer.upsample_encoder"), sizes.encoder_width
    encoder = upsample.UpsampleConformerEncoder(
        input_size=width,
        output_size=width,
        attention_heads=sizes.encoder_heads,
        linear_units=sizes.encoder_inner,
        num_blocks=sizes.encoder_layers,
        input_layer="linear",
        pos_enc_layer_type="rel_pos_espnet",
        selfattention_layer_type="rel_selfattn",
        use_cnn_module=False,
        macaron_style=False,
    )
    encoder.pre_lookahead_layer = upsample.PreLookaheadLayer(channels=width, pre_lookahead_len=3)
    encoder.up_layer = upsample.Upsample1D(channels=width, out_channels=width, stride=2)
    encoder.up_encoders = encoder.up_encoders[: sizes.up_layers]
    return encoder


def _estimator(meanflow: bool, sizes: S3GenSizes) -> Any:
    return module("chatterbox.models.s3gen.decoder").ConditionalDecoder(
        in_channels=4 * MELS,
        out_channels=MELS,
        causal=True,
        channels=[sizes.estimator_width],
        attention_head_dim=HEAD_SIZE,
        n_blocks=sizes.blocks,
        num_mid_blocks=sizes.mid_blocks,
        num_heads=sizes.estimator_heads,
        act_fn="gelu",
        meanflow=meanflow,
    )


def _vocoder(rate: int, sizes: S3GenSizes) -> Any:
    """Build a vocoder of other widths; the rest is S3Gen's configuration."""
    pitch = module("chatterbox.models.s3gen.f0_predictor").ConvRNNF0Predictor(cond_channels=sizes.pitch_width)
    return module("chatterbox.models.s3gen.hifigan").HiFTGenerator(
        base_channels=sizes.vocoder_width,
        sampling_rate=rate,
        upsample_rates=[8, 5, 3],
        upsample_kernel_sizes=[16, 11, 7],
        source_resblock_kernel_sizes=[7, 7, 11],
        source_resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        f0_predictor=pitch,
    )
