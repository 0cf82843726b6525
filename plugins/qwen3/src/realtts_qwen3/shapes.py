"""The shapes of a checkpoint's tensors, by upstream's names, computed from its configuration.

Files are checked against them before anything is read, and random checkpoints are written with them.
Upstream's modules: ``core/models/modeling_qwen3_tts.py``, ``core/tokenizer_12hz/modeling_qwen3_tts_tokenizer_v2.py``
and transformers' ``MimiModel``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from realtts_qwen3.sizes import Backbone, CodecSizes, Sizes, SpeakerSizes

    Shape = tuple[int, ...]
    Named = Iterator[tuple[str, Shape]]

__all__ = ["codec_shapes", "model_shapes"]


def model_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Return the shapes of ``model.safetensors``: talker, code predictor and, if the model clones, speaker encoder."""
    shapes = {f"talker.{name}": shape for name, shape in _talker(sizes)}
    if sizes.speaker_encoder is not None:
        shapes |= {f"speaker_encoder.{name}": shape for name, shape in _speaker(sizes.speaker_encoder)}
    return shapes


def codec_shapes(sizes: CodecSizes) -> dict[str, Shape]:
    """Return the shapes of ``speech_tokenizer/model.safetensors``: codec decoder and encoder, buffers included."""
    shapes = {f"decoder.{name}": shape for name, shape in _decoder(sizes.decoder)}
    return shapes | {f"encoder.{name}": shape for name, shape in _encoder(sizes.encoder)}


def _talker(sizes: Sizes) -> Named:
    talker, predictor = sizes.talker, sizes.predictor
    yield from _backbone("model.", talker)
    yield "model.codec_embedding.weight", (talker.vocabulary, talker.hidden)
    yield "model.text_embedding.weight", (sizes.text_vocabulary, sizes.text_hidden)
    yield from _linear("text_projection.linear_fc1", sizes.text_hidden, sizes.text_hidden)
    yield from _linear("text_projection.linear_fc2", talker.hidden, sizes.text_hidden)
    yield "codec_head.weight", (talker.vocabulary, talker.hidden)
    yield from _backbone("code_predictor.model.", predictor)
    if predictor.hidden != talker.hidden:
        yield from _linear("code_predictor.small_to_mtp_projection", predictor.hidden, talker.hidden)
    for group in range(sizes.groups - 1):
        yield f"code_predictor.model.codec_embedding.{group}.weight", (predictor.vocabulary, talker.hidden)
        yield f"code_predictor.lm_head.{group}.weight", (predictor.vocabulary, predictor.hidden)


def _backbone(prefix: str, sizes: Backbone) -> Named:
    hidden, queries, keys = sizes.hidden, sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    for layer in range(sizes.layers):
        path = f"{prefix}layers.{layer}."
        yield from _attention(f"{path}self_attn.", hidden, queries, keys)
        yield f"{path}self_attn.q_norm.weight", (sizes.head_dim,)
        yield f"{path}self_attn.k_norm.weight", (sizes.head_dim,)
        yield from _gated(f"{path}mlp.", hidden, sizes.intermediate)
        yield f"{path}input_layernorm.weight", (hidden,)
        yield f"{path}post_attention_layernorm.weight", (hidden,)
    yield f"{prefix}norm.weight", (hidden,)


def _speaker(sizes: SpeakerSizes) -> Named:
    channels, kernels = sizes.channels, sizes.kernels
    yield from _conv("blocks.0.conv", channels[0], sizes.mels, kernels[0])
    for block in range(1, len(channels) - 1):
        path, width = f"blocks.{block}.", channels[block]
        yield from _conv(f"{path}tdnn1.conv", width, channels[block - 1], 1)
        for part in range(sizes.scale - 1):
            yield from _conv(
                f"{path}res2net_block.blocks.{part}.conv", width // sizes.scale, width // sizes.scale, kernels[block]
            )
        yield from _conv(f"{path}tdnn2.conv", width, width, 1)
        yield from _conv(f"{path}se_block.conv1", sizes.squeeze, width, 1)
        yield from _conv(f"{path}se_block.conv2", width, sizes.squeeze, 1)
    last = channels[-1]
    yield from _conv("mfa.conv", last, sum(channels[1:-1]), kernels[-1])
    yield from _conv("asp.tdnn.conv", sizes.attention, 3 * last, 1)
    yield from _conv("asp.conv", last, sizes.attention, 1)
    yield from _conv("fc", sizes.width, 2 * last, 1)


def _decoder(config: Mapping[str, Any]) -> Named:
    codebook, latent, width = config["codebook_dim"], config["latent_dim"], config["decoder_dim"]
    semantic = config.get("num_semantic_quantizers", 1)
    for name, layers in (("first", semantic), ("rest", config["num_quantizers"] - semantic)):
        path = f"quantizer.rvq_{name}."
        yield f"{path}input_proj.weight", (codebook // 2, codebook, 1)
        yield f"{path}output_proj.weight", (codebook, codebook // 2, 1)
        for layer in range(layers):
            yield f"{path}vq.layers.{layer}._codebook.cluster_usage", (config["codebook_size"],)
            yield f"{path}vq.layers.{layer}._codebook.embedding_sum", (config["codebook_size"], codebook // 2)
    yield from _conv("pre_conv.conv", latent, codebook, 3)
    yield from _pre_transformer(config)
    for stage, factor in enumerate(config["upsampling_ratios"]):
        yield from _conv(f"upsample.{stage}.0.conv", latent, latent, factor)
        yield from _convnext(f"upsample.{stage}.1.", latent)
    yield from _conv("decoder.0.conv", width, latent, 7)
    rates = config["upsample_rates"]
    for stage, factor in enumerate(rates):
        yield from _upsampling(f"decoder.{stage + 1}.block.", width >> stage, width >> (stage + 1), factor)
    last = width >> len(rates)
    yield from _snake(f"decoder.{len(rates) + 1}.", last)
    yield from _conv(f"decoder.{len(rates) + 2}.conv", 1, last, 7)


def _pre_transformer(config: Mapping[str, Any]) -> Named:
    hidden, latent = config["hidden_size"], config["latent_dim"]
    queries, keys = (config["head_dim"] * config[n] for n in ("num_attention_heads", "num_key_value_heads"))
    yield from _linear("pre_transformer.input_proj", hidden, latent)
    yield from _linear("pre_transformer.output_proj", latent, hidden)
    for layer in range(config["num_hidden_layers"]):
        path = f"pre_transformer.layers.{layer}."
        yield from _attention(f"{path}self_attn.", hidden, queries, keys)
        yield from _gated(f"{path}mlp.", hidden, config["intermediate_size"])
        for name in ("input_layernorm.weight", "post_attention_layernorm.weight"):
            yield path + name, (hidden,)
        for name in ("self_attn_layer_scale.scale", "mlp_layer_scale.scale"):
            yield path + name, (hidden,)
    yield "pre_transformer.norm.weight", (hidden,)


def _convnext(prefix: str, width: int) -> Named:
    yield f"{prefix}dwconv.conv.weight", (width, 1, 7)
    yield f"{prefix}dwconv.conv.bias", (width,)
    yield from ((f"{prefix}norm.{name}", (width,)) for name in ("weight", "bias"))
    yield f"{prefix}gamma", (width,)
    yield from _linear(f"{prefix}pwconv1", 4 * width, width)
    yield from _linear(f"{prefix}pwconv2", width, 4 * width)


def _upsampling(prefix: str, width: int, narrow: int, factor: int) -> Named:
    yield from _snake(f"{prefix}0.", width)
    yield f"{prefix}1.conv.weight", (width, narrow, 2 * factor)  # transposed: inputs first
    yield f"{prefix}1.conv.bias", (narrow,)
    for unit in (2, 3, 4):
        path = f"{prefix}{unit}."
        yield from _snake(f"{path}act1.", narrow)
        yield from _conv(f"{path}conv1.conv", narrow, narrow, 7)
        yield from _snake(f"{path}act2.", narrow)
        yield from _conv(f"{path}conv2.conv", narrow, narrow, 1)


def _encoder(config: Mapping[str, Any]) -> Named:
    yield from _mimi_convs(config)
    hidden, heads = config["hidden_size"], config["head_dim"]
    queries, keys = (heads * config[name] for name in ("num_attention_heads", "num_key_value_heads"))
    for layer in range(config["num_hidden_layers"]):
        path = f"encoder_transformer.layers.{layer}."
        yield from _attention(f"{path}self_attn.", hidden, queries, keys)
        yield f"{path}mlp.fc1.weight", (config["intermediate_size"], hidden)
        yield f"{path}mlp.fc2.weight", (hidden, config["intermediate_size"])
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield from ((f"{path}{name}.{part}", (hidden,)) for part in ("weight", "bias"))
        for name in ("self_attn_layer_scale.scale", "mlp_layer_scale.scale"):
            yield path + name, (hidden,)
    yield "downsample.conv.weight", (hidden, hidden, 2 * config["compress"])
    codebook, semantic = config["codebook_dim"], config["num_semantic_quantizers"]
    inner = config["vector_quantization_hidden_dimension"]
    for name, layers in (("semantic", semantic), ("acoustic", config["num_quantizers"] - semantic)):
        path = f"quantizer.{name}_residual_vector_quantizer."
        yield f"{path}input_proj.weight", (inner, hidden, 1)
        yield f"{path}output_proj.weight", (hidden, inner, 1)
        for layer in range(layers):
            yield f"{path}layers.{layer}.codebook.initialized", (1,)
            yield f"{path}layers.{layer}.codebook.cluster_usage", (config["codebook_size"],)
            yield f"{path}layers.{layer}.codebook.embed_sum", (config["codebook_size"], codebook)


def _mimi_convs(config: Mapping[str, Any]) -> Named:
    """Yield Mimi's convolutions; upstream's numbers count layers without weights, too."""
    width, place = config["num_filters"], 1
    yield from _conv("encoder.layers.0.conv", width, config["audio_channels"], config["kernel_size"])
    for factor in reversed(config["upsampling_ratios"]):
        for _ in range(config["num_residual_layers"]):
            path, inner = f"encoder.layers.{place}.block.", width // config["compress"]
            yield from _conv(f"{path}1.conv", inner, width, config["residual_kernel_size"])
            yield from _conv(f"{path}3.conv", width, inner, 1)
            place += 1
        yield from _conv(f"encoder.layers.{place + 1}.conv", 2 * width, width, 2 * factor)
        width, place = 2 * width, place + 2
    yield from _conv(f"encoder.layers.{place + 1}.conv", config["hidden_size"], width, config["last_kernel_size"])


def _attention(prefix: str, hidden: int, queries: int, keys: int) -> Named:
    yield f"{prefix}q_proj.weight", (queries, hidden)
    yield f"{prefix}k_proj.weight", (keys, hidden)
    yield f"{prefix}v_proj.weight", (keys, hidden)
    yield f"{prefix}o_proj.weight", (hidden, queries)


def _gated(prefix: str, hidden: int, intermediate: int) -> Named:
    yield f"{prefix}gate_proj.weight", (intermediate, hidden)
    yield f"{prefix}up_proj.weight", (intermediate, hidden)
    yield f"{prefix}down_proj.weight", (hidden, intermediate)


def _linear(name: str, outputs: int, inputs: int) -> Named:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _conv(name: str, outputs: int, inputs: int, kernel: int) -> Named:
    yield f"{name}.weight", (outputs, inputs, kernel)
    yield f"{name}.bias", (outputs,)


def _snake(prefix: str, width: int) -> Named:
    yield f"{prefix}alpha", (width,)
    yield f"{prefix}beta", (width,)
