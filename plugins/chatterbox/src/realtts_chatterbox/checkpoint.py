"""Random weights in upstream's files: what `realtts_chatterbox.testing.write_random_checkpoint` writes.

Weights are drawn such that activations keep the size that a trained model's have, at any width and depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from realtts.testing.weights import raise_logits, random_state
from realtts_chatterbox.building import empty_s3gen, empty_t3, empty_voice_encoder
from realtts_chatterbox.constants import MELS
from realtts_chatterbox.files import BUILTIN, COMPUTED, T3_FILES
from realtts_chatterbox.sizes import S3GenSizes, T3Sizes
from realtts_chatterbox.utterance import START, STOP
from realtts_chatterbox.vocabulary import write_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["T3_SIZES", "write_checkpoint"]

T3_SIZES = {
    ("english", "full"): T3Sizes(),
    ("multilingual", "full"): T3Sizes(text_vocabulary=2454),
    ("turbo", "full"): T3Sizes(layers=24, text_vocabulary=50276, speech_vocabulary=6563),
    ("english", "tiny"): T3Sizes(layers=3, hidden=128, heads=2, intermediate=256),
    # Upstream's analyzer looks at head 15 of layer 12 and head 11 of layer 13, so these two cannot be fewer.
    ("multilingual", "tiny"): T3Sizes(layers=14, hidden=64, heads=16, intermediate=128, text_vocabulary=2454),
    ("turbo", "tiny"): T3Sizes(
        layers=3, hidden=128, heads=2, intermediate=512, text_vocabulary=1024, speech_vocabulary=6563
    ),
}
"""Of T3, by model and size."""

_S3GEN_SIZES = {
    "full": S3GenSizes(),
    "tiny": S3GenSizes(
        tokenizer_layers=2,
        tokenizer_width=128,
        encoder_layers=2,
        up_layers=1,
        mid_blocks=2,
        blocks=1,
        vocoder_width=64,
        encoder_width=64,
        encoder_heads=2,
        encoder_inner=128,
        estimator_width=64,
        estimator_heads=2,
        pitch_width=32,
        speaker_width=32,
        speaker_growth=8,
    ),
}

_CONSTANT = 3.0
"""Value of the residual stream's first channel, see `_raise_end`."""

_NEVER = -30.0
"""About the logit of the start token, and of tokens without a meaning."""

_RMS = 1.3
"""Measured root mean square of the residual stream behind the last layer, with these weights."""

_PITCH_SPREAD = 30.0
"""Standard deviation of the pitch in Hz, in checkpoints that have one."""


def write_checkpoint(path: Path, size: str, seed: int, *, model: str, eos_bias: float, f0_bias: float) -> None:
    """Write a checkpoint; see `realtts_chatterbox.testing.write_random_checkpoint`."""
    draw = torch.Generator().manual_seed(seed)
    sizes = T3_SIZES[model, size]
    save_file(_t3(model, sizes, eos_bias, draw), path / T3_FILES[model])
    s3gen = _random(empty_s3gen(model, _S3GEN_SIZES[size]), draw, _s3gen_spread)
    _shape_vocoder(s3gen, f0_bias)
    voice_encoder = _random(empty_voice_encoder(), draw, _plain_spread)
    if model == "multilingual":
        torch.save(s3gen, path / "s3gen.pt")
        torch.save(voice_encoder, path / "ve.pt")
    else:
        save_file(s3gen, path / ("s3gen_meanflow.safetensors" if model == "turbo" else "s3gen.safetensors"))
        save_file(voice_encoder, path / "ve.safetensors")
    torch.save(_voice(model, size, draw), path / BUILTIN)
    write_vocabulary(path, model, sizes.text_vocabulary)


def _t3(model: str, sizes: T3Sizes, eos_bias: float, draw: torch.Generator) -> dict[str, Tensor]:
    depth = (2 * sizes.layers) ** -0.5
    state = _random(empty_t3(model, sizes), draw, lambda name: _t3_spread(name, depth))
    if model == "turbo":
        state["tfmr.wte.weight"] = torch.randn(8, sizes.hidden, generator=draw)  # in upstream's file, and never used
        state["speech_head.bias"][START] = _NEVER
        state["speech_head.bias"][STOP] = eos_bias
    else:
        _raise_end(state, eos_bias)
    return state


def _raise_end(state: dict[str, Tensor], eos_bias: float) -> None:
    """Raise the end's logit by way of a constant channel that the positions of speech carry.

    Tokens that are no sound get a low logit: a trained model never draws them.
    """
    head = "speech_head.weight"
    state["speech_pos_emb.emb.weight"][:, 0] = _CONSTANT
    state["speech_emb.weight"][:, 0] = state[head][:, 0] = 0
    rows = {**dict.fromkeys(range(START, len(state[head])), _NEVER), STOP: eos_bias}
    raise_logits(state, rows, head=head, norm="tfmr.norm.weight", constant=_CONSTANT, rms=_RMS)


def _shape_vocoder(state: dict[str, Tensor], f0_bias: float) -> None:
    """Give the vocoder an ordinary loudness, and a pitch of about ``f0_bias`` Hz."""
    # Magnitudes are the exponential of these channels: with the spread of the other weights some come out forty times
    # as loud as their mean in one checkpoint and twice in the next, and every rounding with them.
    state["mel2wav.conv_post.bias"][:9] = -1.5
    state["mel2wav.conv_post.parametrizations.weight.original0"][:9] *= 0.5
    weight = state["mel2wav.f0_predictor.classifier.weight"]
    weight *= _PITCH_SPREAD if f0_bias else 1.0
    state["mel2wav.f0_predictor.classifier.bias"][:] = f0_bias


def _random(network: nn.Module, draw: torch.Generator, spread: Any) -> dict[str, Tensor]:
    """Draw all tensors of a network but those that its constructor has computed."""
    state = random_state(network, lambda name, shape: _tensor(name, shape, draw) * spread(name), COMPUTED)
    for name in [name for name in state if name.endswith("original0")]:
        v = state[name.replace("original0", "original1")]
        state[name] = v.flatten(1).norm(dim=1).view_as(state[name])  # weight norm's length: the weight is v itself
    return state


def _tensor(name: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    values: Tensor = torch.randn(shape, generator=draw)
    if name.endswith("running_var"):
        return 1 + 0.1 * values.abs()
    if name.endswith(("alpha", "similarity_weight")):
        return 1 + 0.1 * values.abs()
    if len(shape) == 1:
        is_scale = name.endswith("weight") and "lstm" not in name
        return 1 + 0.1 * values if is_scale else 0.05 * values
    if "emb.weight" in name or "embedding" in name or name.endswith("pre_attention_query"):
        return values
    scaled: Tensor = values / _fan_in(name, shape) ** 0.5
    return scaled


def _fan_in(name: str, shape: tuple[int, ...]) -> float:
    fan_in: float = torch.Size(shape[1:]).numel()
    if name.startswith("tfmr.h."):  # GPT-2's linear layers are stored the other way round
        return shape[0]
    if ".ups." in name:  # transposed: (in, out, kernel), and about two taps of the kernel meet
        return 2 * shape[0]
    return fan_in


def _plain_spread(_: str) -> float:
    return 1.0


def _t3_spread(name: str, depth: float) -> float:
    if name.endswith(("o_proj.weight", "down_proj.weight", "attn.c_proj.weight", "mlp.c_proj.weight")):
        return depth
    if "pos_emb" in name or name == "tfmr.wpe.weight":
        return 0.3
    return 1.5 if name in {"speech_head.weight", "text_head.weight"} else 1.0


def _s3gen_spread(name: str) -> float:
    if "flow.input_embedding" in name:
        return 1.0
    if ".convs2." in name or name.endswith(("ff.net.2.weight", "to_out.0.weight", "w_2.weight", "linear_out.weight")):
        return 0.5  # branches that are added to a residual stream
    return 1.0


def _voice(model: str, size: str, draw: torch.Generator) -> dict[str, Any]:
    """Draw a voice in the form that upstream's ``Conditionals.save`` writes."""
    seconds, t3_tokens = (8, 375 if model == "turbo" else 150) if size == "full" else (1, 20)
    tokens = 25 * seconds
    speaker = torch.randn(1, 256, generator=draw).relu()
    gen = {
        "prompt_token": torch.randint(0, 6561, (1, tokens), generator=draw),
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.randn(1, 2 * tokens, MELS, generator=draw) - 5,
        "prompt_feat_len": None,
        "embedding": torch.randn(1, 192, generator=draw),
    }
    t3 = {
        "speaker_emb": speaker / speaker.norm(dim=1, keepdim=True),
        "clap_emb": None,
        "cond_prompt_speech_tokens": torch.randint(0, 6561, (1, t3_tokens), generator=draw),
        "cond_prompt_speech_emb": None,
        "emotion_adv": torch.full((1, 1, 1), 0.5),
    }
    return {"t3": t3, "gen": gen}
