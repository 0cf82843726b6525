"""The codec in the neucodec package's names: the same sound and the same codes."""

from __future__ import annotations

import pytest
import torch

from realtts.errors import CheckpointMismatch
from realtts_vieneu.codec import CodecDecoder
from realtts_vieneu.codec_names import named
from realtts_vieneu.encoder import Encoder

pytest.importorskip("transformers")

ACTIVATIONS = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
BLOCK = {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4}
ADAPTER = {"conv1": "initial_conv", "conv2": "residual_blocks.1", "conv3": "residual_blocks.3", "conv4": "final_conv"}
LAYER = {"input_layernorm": "att_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "att.c_proj"}


def package_name(name):
    """What the package calls a tensor of transformers', weight norm aside; read off its modules."""
    part, _, rest = name.partition(".")
    if part == "semantic_encoder":
        return f"semantic_model.{rest}"
    if part == "fc_encoder":
        return f"fc_prior.{rest}"
    if part == "quantizer":
        return f"generator.quantizer.{rest}"
    if part == "semantic_adapter":
        conv, _, last = rest.partition(".")
        return f"SemanticEncoder_module.{ADAPTER[conv]}.{last}"
    if part == "acoustic_encoder":
        return f"CodecEnc.{_encoder_name(rest.split('.'))}"
    for theirs, ours in (("fc.", "fc_post_a."), ("norm.", "generator.backbone.final_layer_norm."),
                         ("head.linear.", "generator.head.out.")):  # fmt: skip
        if rest.startswith(theirs):
            return ours + rest.removeprefix(theirs)
    if rest.startswith("layers."):
        _, number, inside = rest.split(".", 2)
        stem, _, last = inside.rpartition(".")
        return f"generator.backbone.transformers.{number}.{LAYER.get(stem, stem)}.{last}"
    return f"generator.backbone.{rest}"


def _encoder_name(parts):
    if parts[0] == "conv1":
        return ".".join(["conv_blocks", "0", *parts[1:]])
    if parts[0] != "block":
        place = {"snake1": "0", "conv2": "1"}[parts[0]]
        return ".".join(["conv_final_block", place, *parts[1:]])
    block = ["conv_blocks", str(int(parts[1]) + 1), "block", str(BLOCK[parts[2]])]
    if not parts[2].startswith("res_unit"):
        return ".".join([*block, *parts[3:]])
    return ".".join([*block, "block", str(ACTIVATIONS[parts[3]]), *parts[4:]])


def packed(state, *, normed):
    """The same tensors as the package saves them: attention's in one, weight norm in two, and some more."""
    found = {}
    for name in state:
        tensor = state[name]
        old = package_name(name)
        if "self_attn.k_proj" in name or "self_attn.v_proj" in name:
            continue
        if "self_attn.q_proj" in name:
            together = [state[name.replace("q_proj", f"{kind}_proj")] for kind in "qkv"]
            found[old.replace("self_attn.q_proj", "att.c_attn")] = torch.cat(together)
        elif old.startswith("CodecEnc.") and tensor.dim() == 3:
            length = tensor.flatten(1).norm(dim=1)[:, None, None]
            stem = old.removesuffix("weight")
            first, second = normed
            found[stem + first], found[stem + second] = length, tensor / length * 3
        else:
            found[old] = tensor
    found["generator.head.istft.window"] = torch.hann_window(1920)
    found["CodecEnc.conv_blocks.1.block.0.block.0.upsample.filter"] = torch.zeros(1, 1, 12)
    found["CodecEnc.conv_blocks.1.block.0.block.0.downsample.lowpass.filter"] = torch.zeros(1, 1, 12)
    found["fc_post_s.weight"] = torch.zeros(2, 2)
    found["SemanticDecoder_module.initial_conv.weight"] = torch.zeros(2, 2, 3)
    return found


@pytest.fixture(params=[("weight_g", "weight_v"),
                        ("parametrizations.weight.original0", "parametrizations.weight.original1")],
                ids=["weight_g", "parametrized"])  # fmt: skip
def package_state(request, codec_parts):
    """The codec as upstream's package saves it."""
    return packed(codec_parts[1], normed=request.param)


def test_names_are_transformers(package_state, codec_parts) -> None:
    """All of them, and none besides; values are the same but for rounding of weight norm."""
    state, found = codec_parts[1], named(package_state)
    assert set(found) == set(state)
    for name in state:
        torch.testing.assert_close(found[name], state[name], rtol=1e-5, atol=1e-6)


def test_samples_and_codes_are_the_same(package_state, codec_parts) -> None:
    """Queries and keys need no other order, for their turning cancels."""
    config, state = codec_parts
    codes = torch.randint(0, 65536, (40,), generator=torch.Generator().manual_seed(3))
    ours, other = (CodecDecoder.from_state_dict(config, tensors) for tensors in (state, package_state))
    assert torch.equal(other.samples(codes), ours.samples(codes))
    wave = 0.1 * torch.randn(5000, generator=torch.Generator().manual_seed(4))
    assert torch.equal(Encoder(config, package_state).codes(wave), Encoder(config, state).codes(wave))


def test_a_weight_stands_above_its_parts(codec_parts) -> None:
    """The package reads the folded weight and drops what lies beside it."""
    state = packed(codec_parts[1], normed=("weight_g", "weight_v"))
    name = "generator.backbone.embed"
    beside = {f"{name}.weight_g": torch.zeros(64, 1, 1), f"{name}.weight_v": torch.ones(64, 64, 7)}
    found = named({**state, **beside})
    assert set(found) == set(codec_parts[1])
    assert torch.equal(found["acoustic_decoder.embed.weight"], state[f"{name}.weight"])


def test_what_belongs_to_no_neucodec_is_named(codec_parts) -> None:
    """Of another codec, or half of a weight norm."""
    state = packed(codec_parts[1], normed=("weight_g", "weight_v"))
    with pytest.raises(CheckpointMismatch, match=r"generator\.backbone\.convnext\.0\.gamma"):
        named({**state, "generator.backbone.convnext.0.gamma": torch.zeros(1)})
    with pytest.raises(CheckpointMismatch, match=r"CodecEnc\.conv_blocks\.0\.weight_v is missing"):
        named({name: state[name] for name in state if name != "CodecEnc.conv_blocks.0.weight_v"})


@pytest.mark.parametrize("shape", [(), (2, 4)])
def test_a_fused_weight_of_another_shape_is_named(shape) -> None:
    """Query, key and value lie in one tensor; what cannot be parted is no NeuCodec's."""
    name = "generator.backbone.transformers.0.att.c_attn.weight"
    with pytest.raises(CheckpointMismatch, match=r"c_attn\.weight has the shape"):
        dict(named({name: torch.empty(shape, device="meta")}))
