"""Upstream's networks without memory for their weights, at the sizes of a checkpoint.

Upstream builds them with random weights first and copies the file's over them, so that all weights lie in memory
twice. Here a weight that nobody has filled lies on the device "meta"; what the constructors compute (positional
encodings, windows, mel filters, rotary frequencies) is computed as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.tensorfile import shapes_of
from realtts.accel.upstream import Unfilled, put_tensor
from realtts.checkpoints.reading import mismatch
from realtts_chatterbox.sizes import HEAD_SIZE, S3GenSizes, T3Sizes
from realtts_chatterbox.upstream import module, quiet

if TYPE_CHECKING:
    from torch import nn

    from realtts.accel.tensorfile import State

__all__ = ["check", "empty_s3gen", "empty_t3", "empty_voice_encoder", "fill"]

_TOLERATED = ("_mel_filters", "window")
"""Of the speech tokenizer: computed, and left out of some of upstream's files."""


def empty_t3(kind: str, sizes: T3Sizes) -> Any:
    """Upstream's T3; without the backbone's own embedding if it is Turbo's, which upstream removes too."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        t3 = module("chatterbox.models.t3").T3(_t3_config(kind, sizes))
        if kind == "turbo":
            del t3.tfmr.wte
        elif sizes.hidden != T3Sizes.hidden:
            perceiver = module("chatterbox.models.t3.modules.perceiver").Perceiver
            t3.cond_enc.perceiver = perceiver(pre_attention_query_size=sizes.hidden, embedding_dim=sizes.hidden)
    return t3


def empty_s3gen(kind: str, sizes: S3GenSizes) -> Any:
    """Upstream's S3Gen: speech tokenizer, speaker encoder, flow and vocoder."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        s3gen = module("chatterbox.models.s3gen").S3Gen(meanflow=kind == "turbo")
        _resize_tokenizer(s3gen.tokenizer, sizes)
        encoder, estimator = s3gen.flow.encoder, s3gen.flow.decoder.estimator
        encoder.encoders = encoder.encoders[: sizes.encoder_layers]
        encoder.up_encoders = encoder.up_encoders[: sizes.up_layers]
        estimator.mid_blocks = estimator.mid_blocks[: sizes.mid_blocks]
        for block in (*estimator.down_blocks, *estimator.mid_blocks, *estimator.up_blocks):
            block[1] = block[1][: sizes.blocks]
        if sizes.vocoder_width != S3GenSizes.vocoder_width:
            s3gen.mel2wav = _vocoder(s3gen.mel2wav, sizes.vocoder_width)
    return s3gen


def empty_voice_encoder() -> Any:
    """Upstream's speaker encoder for T3."""
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        return module("chatterbox.models.voice_encoder").VoiceEncoder()


def fill(
    network: nn.Module,
    state: State,
    device: str,
    who: str,
    *,
    prefix: str = "",
    optional: tuple[str, ...] = (),
    extras: bool = False,
) -> None:
    """Give a network the tensors of a file, in float32, and make it ready for inference.

    Args:
        network: As the functions above make it.
        state: Of the file.
        device: Where the network shall lie.
        who: The file, for messages.
        prefix: Of the names in the file that are the network's; others are not looked at.
        optional: Names that may stand in the file and are not used.
        extras: Whether any others may, too.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
        CheckpointCorrupt: A tensor cannot be read.
    """
    for name, full in check(network, state, who, prefix=prefix, optional=optional, extras=extras).items():
        tensor = state[full]
        put_tensor(network, name, tensor.to(device, torch.float32 if tensor.is_floating_point() else tensor.dtype))
    network.to(device).requires_grad_(requires_grad=False).eval()


def check(
    network: nn.Module,
    state: State,
    who: str,
    *,
    prefix: str = "",
    optional: tuple[str, ...] = (),
    extras: bool = False,
) -> dict[str, str]:
    """The network's names of a file's tensors; arguments as of `fill`.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """
    wanted, shapes = network.state_dict(), shapes_of(state)
    names = {name[len(prefix) :]: name for name in shapes if name.startswith(prefix)}
    for name in optional:
        names.pop(name, None)
    missing = {n for n in wanted.keys() - names.keys() if not (n.endswith(_TOLERATED) and not wanted[n].is_meta)}
    unexpected = names.keys() - wanted.keys()
    for what, found in (("missing", missing), ("unexpected", set() if extras else unexpected)):
        if found:
            raise mismatch(f"{len(found)} tensors are {what}, the first is {prefix}{min(found)}", who)
    for name in unexpected:
        del names[name]
    for name, full in names.items():
        if shapes[full] != tuple(wanted[name].shape):
            raise mismatch(f"{full} has the shape {shapes[full]}, expected {tuple(wanted[name].shape)}", who)
    return names


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
        # Upstream takes sizes from this table alone. Its own entries stay as they are.
        other = f"{name}_{'x'.join(map(str, shape.values()))}"
        configs.setdefault(other, {**configs[name], **shape})
        name = other
    config = module("chatterbox.models.t3.modules.t3_config").T3Config(text_tokens_dict_size=sizes.text_vocabulary)
    config.llama_config_name, config.speech_tokens_dict_size = name, sizes.speech_vocabulary
    if kind == "turbo":
        config.input_pos_emb, config.speech_cond_prompt_len = None, 375
        config.use_perceiver_resampler = config.emotion_adv = False
    return config


def _resize_tokenizer(tokenizer: Any, sizes: S3GenSizes) -> None:
    if (sizes.tokenizer_layers, sizes.tokenizer_width) == (S3GenSizes.tokenizer_layers, S3GenSizes.tokenizer_width):
        return
    v2, width = module("s3tokenizer.model_v2"), sizes.tokenizer_width
    mels, heads = tokenizer.config.n_mels, max(1, width // HEAD_SIZE)
    tokenizer.encoder = v2.AudioEncoderV2(mels, width, heads, sizes.tokenizer_layers, 2, use_sdpa=False)
    tokenizer.quantizer = v2.FSQVectorQuantization(width, tokenizer.config.n_codebook_size)


def _vocoder(full: Any, width: int) -> Any:
    """Of upstream's own configuration but for the width."""
    return module("chatterbox.models.s3gen.hifigan").HiFTGenerator(
        base_channels=width,
        sampling_rate=full.sampling_rate,
        upsample_rates=[8, 5, 3],
        upsample_kernel_sizes=[16, 11, 7],
        source_resblock_kernel_sizes=[7, 7, 11],
        source_resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        f0_predictor=full.f0_predictor,
    )
