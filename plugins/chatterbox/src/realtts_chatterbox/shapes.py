"""Names and shapes of every tensor in a checkpoint's files, so that a file is checked without upstream's networks.

Sources: ``models/t3``, ``models/voice_encoder`` and ``models/s3gen`` of github.com/resemble-ai/chatterbox, and
``model_v2.py`` of github.com/xingchensong/S3Tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts_chatterbox.constants import HARMONICS, MELS
from realtts_chatterbox.shapes_speaker import speaker_shapes
from realtts_chatterbox.sizes import HEAD_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realtts_chatterbox.sizes import S3GenSizes, T3Sizes

    Shapes = dict[str, tuple[int, ...]]
    Pairs = Iterator[tuple[str, tuple[int, ...]]]

__all__ = ["s3gen_shapes", "t3_shapes", "voice_encoder_shapes"]

_SPEAKER, _X_VECTOR = 256, 192
_QUERIES = 32
_TEXT_POSITIONS, _SPEECH_POSITIONS, _TURBO_POSITIONS = 2050, 4100, 8196
_UNUSED_VOCABULARY = 8
"""Rows of the backbone's own embedding, which nothing reads."""

_TOKENS, _TOKENIZER_MELS, _FILTERS, _WINDOW, _DIGITS, _MEMORY = 6561, 128, 201, 400, 8, 31
_BINS = 18
"""Channels of the vocoder's transform: real and imaginary parts of nine bins."""

_UPSAMPLING = ((16, 30, 7), (11, 6, 7), (7, 1, 11))
"""Of each level of the vocoder: kernels of the upsampling, of the source's downsampling, of the source's blocks."""

_KERNELS, _DILATIONS = (3, 7, 11), 3


def t3_shapes(kind: str, sizes: T3Sizes) -> Shapes:
    """Return the shapes of T3's tensors.

    Args:
        kind: Name of the model.
        sizes: Of the checkpoint.
    """
    width, turbo = sizes.hidden, kind == "turbo"
    return {
        **dict(_gpt2(sizes) if turbo else _llama(sizes)),
        **dict(_linear("cond_enc.spkr_enc", width, _SPEAKER)),
        "text_emb.weight": (sizes.text_vocabulary, width),
        "speech_emb.weight": (sizes.speech_vocabulary, width),
        "text_head.weight": (sizes.text_vocabulary, width),
        "speech_head.weight": (sizes.speech_vocabulary, width),
        **({"speech_head.bias": (sizes.speech_vocabulary,)} if turbo else {}),
    }


def voice_encoder_shapes() -> Shapes:
    """Return the shapes of the tensors of T3's speaker encoder."""
    shapes: Shapes = {"similarity_weight": (1,), "similarity_bias": (1,)}
    for layer, width in enumerate((40, _SPEAKER, _SPEAKER)):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * _SPEAKER, width)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * _SPEAKER, _SPEAKER)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * _SPEAKER,)
    return {**shapes, **dict(_linear("proj", _SPEAKER, _SPEAKER))}


def s3gen_shapes(kind: str, sizes: S3GenSizes) -> Shapes:
    """Return the shapes of the tensors of speech tokenizer, speaker encoder, flow and vocoder.

    Args:
        kind: Name of the model.
        sizes: Of the checkpoint.
    """
    parts: Mapping[str, Pairs] = {
        "tokenizer.": _tokenizer(sizes.tokenizer_layers, sizes.tokenizer_width),
        "speaker_encoder.": speaker_shapes(sizes.speaker_width, sizes.speaker_growth, _X_VECTOR),
        "flow.": _flow(sizes),
        "flow.encoder.": _encoder(sizes),
        "flow.decoder.estimator.": _estimator(sizes, meanflow=kind == "turbo"),
        "mel2wav.": _vocoder(sizes),
    }
    return {prefix + name: shape for prefix, pairs in parts.items() for name, shape in pairs}


def _linear(name: str, outputs: int, inputs: int, *kernel: int, bias: bool = True) -> Pairs:
    yield f"{name}.weight", (outputs, inputs, *kernel)
    if bias:
        yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int) -> Pairs:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _llama(sizes: T3Sizes) -> Pairs:
    width, attended, inner = sizes.hidden, HEAD_SIZE * sizes.heads, sizes.intermediate
    yield "tfmr.embed_tokens.weight", (_UNUSED_VOCABULARY, width)
    yield "tfmr.norm.weight", (width,)
    for index in range(sizes.layers):
        layer = f"tfmr.layers.{index}."
        for name in ("q_proj", "k_proj", "v_proj"):
            yield f"{layer}self_attn.{name}.weight", (attended, width)
        yield f"{layer}self_attn.o_proj.weight", (width, attended)
        yield f"{layer}mlp.gate_proj.weight", (inner, width)
        yield f"{layer}mlp.up_proj.weight", (inner, width)
        yield f"{layer}mlp.down_proj.weight", (width, inner)
        yield f"{layer}input_layernorm.weight", (width,)
        yield f"{layer}post_attention_layernorm.weight", (width,)
    yield "text_pos_emb.emb.weight", (_TEXT_POSITIONS, width)
    yield "speech_pos_emb.emb.weight", (_SPEECH_POSITIONS, width)
    yield from _linear("cond_enc.emotion_adv_fc", width, 1, bias=False)
    yield "cond_enc.perceiver.pre_attention_query", (1, _QUERIES, width)
    yield from _norm("cond_enc.perceiver.attn.norm", width)
    for name in ("to_q", "to_k", "to_v", "proj_out"):
        yield from _linear(f"cond_enc.perceiver.attn.{name}", width, width)


def _gpt2(sizes: T3Sizes) -> Pairs:
    width, inner = sizes.hidden, sizes.intermediate
    yield "tfmr.wpe.weight", (_TURBO_POSITIONS, width)
    yield from _norm("tfmr.ln_f", width)
    for index in range(sizes.layers):
        layer = f"tfmr.h.{index}."
        yield from _norm(f"{layer}ln_1", width)
        yield from _norm(f"{layer}ln_2", width)
        # GPT-2's linear layers are stored the other way round.
        for name, inputs, outputs in (
            ("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inner), ("mlp.c_proj", inner, width),
        ):  # fmt: skip
            yield f"{layer}{name}.weight", (inputs, outputs)
            yield f"{layer}{name}.bias", (outputs,)


def _tokenizer(layers: int, width: int) -> Pairs:
    yield "_mel_filters", (_TOKENIZER_MELS, _FILTERS)
    yield "window", (_WINDOW,)
    yield from _linear("encoder.conv1", width, _TOKENIZER_MELS, 3)
    yield from _linear("encoder.conv2", width, width, 3)
    for index in range(layers):
        block = f"encoder.blocks.{index}."
        for name in ("query", "key", "value", "out"):
            yield from _linear(f"{block}attn.{name}", width, width, bias=name != "key")
        yield f"{block}attn.fsmn_block.weight", (width, 1, _MEMORY)
        yield from _norm(f"{block}attn_ln", width)
        yield from _linear(f"{block}mlp.0", 4 * width, width)
        yield from _linear(f"{block}mlp.2", width, 4 * width)
        yield from _norm(f"{block}mlp_ln", width)
    yield from _linear("quantizer._codebook.project_down", _DIGITS, width)


def _flow(sizes: S3GenSizes) -> Pairs:
    yield "input_embedding.weight", (_TOKENS, sizes.encoder_width)
    yield from _linear("spk_embed_affine_layer", MELS, _X_VECTOR)
    yield from _linear("encoder_proj", MELS, sizes.encoder_width)


def _encoder(sizes: S3GenSizes) -> Pairs:
    width, inner, heads = sizes.encoder_width, sizes.encoder_inner, sizes.encoder_heads
    for name in ("embed", "up_embed"):
        yield from _linear(f"{name}.out.0", width, width)
        yield from _norm(f"{name}.out.1", width)
    yield from _norm("after_norm", width)
    yield from _linear("pre_lookahead_layer.conv1", width, width, 4)
    yield from _linear("pre_lookahead_layer.conv2", width, width, 3)
    yield from _linear("up_layer.conv", width, width, 5)
    layers = [f"encoders.{index}." for index in range(sizes.encoder_layers)]
    for layer in (*layers, *(f"up_encoders.{index}." for index in range(sizes.up_layers))):
        for name in ("linear_q", "linear_k", "linear_v", "linear_out", "linear_pos"):
            yield from _linear(f"{layer}self_attn.{name}", width, width, bias=name != "linear_pos")
        for name in ("pos_bias_u", "pos_bias_v"):
            yield f"{layer}self_attn.{name}", (heads, width // heads)
        yield from _linear(f"{layer}feed_forward.w_1", inner, width)
        yield from _linear(f"{layer}feed_forward.w_2", width, inner)
        yield from _norm(f"{layer}norm_ff", width)
        yield from _norm(f"{layer}norm_mha", width)


def _estimator(sizes: S3GenSizes, *, meanflow: bool) -> Pairs:
    width, inputs = sizes.estimator_width, 4 * MELS
    yield from _linear("time_mlp.linear_1", 4 * width, inputs)
    yield from _linear("time_mlp.linear_2", 4 * width, 4 * width)
    if meanflow:
        yield from _linear("time_embed_mixer", 4 * width, 8 * width, bias=False)
    levels = {
        "down_blocks.0": inputs,
        **{f"mid_blocks.{index}": width for index in range(sizes.mid_blocks)},
        "up_blocks.0": 2 * width,
    }
    for level, entering in levels.items():
        yield from _resnet(f"{level}.0", entering, width)
        for index in range(sizes.blocks):
            yield from _transformer(f"{level}.1.{index}.", width, HEAD_SIZE * sizes.estimator_heads)
        if not level.startswith("mid"):
            yield from _linear(f"{level}.2", width, width, 3)
    yield from _linear("final_block.block.0", width, width, 3)
    yield from _norm("final_block.block.2", width)
    yield from _linear("final_proj", MELS, width, 1)


def _resnet(name: str, inputs: int, width: int) -> Pairs:
    yield from _linear(f"{name}.mlp.1", width, 4 * width)
    for block, entering in (("block1", inputs), ("block2", width)):
        yield from _linear(f"{name}.{block}.block.0", width, entering, 3)
        yield from _norm(f"{name}.{block}.block.2", width)
    yield from _linear(f"{name}.res_conv", width, inputs, 1)


def _transformer(block: str, width: int, attended: int) -> Pairs:
    for name in ("to_q", "to_k", "to_v"):
        yield from _linear(f"{block}attn1.{name}", attended, width, bias=False)
    yield from _linear(f"{block}attn1.to_out.0", width, attended)
    yield from _norm(f"{block}norm1", width)
    yield from _norm(f"{block}norm3", width)
    yield from _linear(f"{block}ff.net.0.proj", 4 * width, width)
    yield from _linear(f"{block}ff.net.2", width, 4 * width)


def _vocoder(sizes: S3GenSizes) -> Pairs:
    width, pitch = sizes.vocoder_width, sizes.pitch_width
    yield from _linear("m_source.l_linear", 1, HARMONICS)
    yield from _normed("conv_pre", width, MELS, 7)
    for level, (up, down, source) in enumerate(_UPSAMPLING):
        narrow = width // 2 ** (level + 1)
        yield from _normed(f"ups.{level}", width // 2**level, narrow, up, bias=narrow)  # transposed: (in, out, kernel)
        yield from _linear(f"source_downs.{level}", narrow, _BINS, down)
        yield from _residual(f"source_resblocks.{level}.", narrow, source)
        for index, kernel in enumerate(_KERNELS):
            yield from _residual(f"resblocks.{len(_KERNELS) * level + index}.", narrow, kernel)
    yield from _normed("conv_post", _BINS, width // 2 ** len(_UPSAMPLING), 7)
    for index in range(5):
        yield from _normed(f"f0_predictor.condnet.{2 * index}", pitch, pitch if index else MELS, 3)
    yield from _linear("f0_predictor.classifier", 1, pitch)


def _residual(block: str, width: int, kernel: int) -> Pairs:
    for index in range(_DILATIONS):
        for half in ("1", "2"):
            yield from _normed(f"{block}convs{half}.{index}", width, width, kernel)
            yield f"{block}activations{half}.{index}.alpha", (width,)


def _normed(name: str, outputs: int, inputs: int, kernel: int, *, bias: int | None = None) -> Pairs:
    """Yield a convolution whose weight is a direction and a length."""
    yield f"{name}.parametrizations.weight.original0", (outputs, 1, 1)
    yield f"{name}.parametrizations.weight.original1", (outputs, inputs, kernel)
    yield f"{name}.bias", (outputs if bias is None else bias,)
