"""Codes to samples: transformers' numbers, one sentence and several together."""

from __future__ import annotations

import pytest
import torch

from realtts.errors import CheckpointMismatch
from realtts.testing.recording import RecordingGraphs
from realtts_vieneu.codec import CodecDecoder

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def upstream(codec_folder):
    """The codec as transformers loads it."""
    from transformers import NeuCodecModel

    return NeuCodecModel.from_pretrained(codec_folder).eval()


@pytest.fixture(scope="module")
def ours(codec_parts):
    """Our decoder in float32."""
    return CodecDecoder.from_state_dict(*codec_parts)


def codes_of(frames, seed=0):
    """Codes as good as any others."""
    return torch.randint(0, 65536, (frames,), generator=torch.Generator().manual_seed(seed))


def whole_of(upstream, codes):
    """What transformers decodes."""
    with torch.inference_mode():
        return upstream.decode(codes[None, None]).audio_values[0, 0]


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 50, 333])
def test_samples_are_upstreams(upstream, ours, frames) -> None:
    """Of speech shorter than the last layer's window, and of some seconds."""
    codes = codes_of(frames, frames)
    samples = ours.samples(codes)
    assert samples.shape == (480 * frames,)
    assert samples.dtype == torch.float32
    assert float(samples.std()) > 1e-3
    torch.testing.assert_close(samples, whole_of(upstream, codes), rtol=0, atol=1e-4)


def test_lowest_and_highest_codes(upstream, ours) -> None:
    """The digits of all of them are in the codebook's order."""
    codes = torch.tensor([0, 65535, 1, 4, 16, 21845, 43690, 3, 65532])
    torch.testing.assert_close(ours.samples(codes), whole_of(upstream, codes), rtol=0, atol=1e-4)


def test_torchs_attention_gives_the_same(codec_parts, ours) -> None:
    """As where the setting asks for it."""
    fused = CodecDecoder.from_state_dict(*codec_parts, fused=True)
    codes = codes_of(70)
    torch.testing.assert_close(fused.samples(codes), ours.samples(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("lengths", [(7,), (5, 5), (40, 9, 33, 1, 0, 25), tuple(range(1, 21))], ids=len)
def test_together_is_as_alone(ours, lengths) -> None:
    """Whatever their lengths; those without codes are silent."""
    rows = [codes_of(length, seed) for seed, length in enumerate(lengths)]
    for row, samples in zip(rows, ours.batch(rows), strict=True):
        assert torch.equal(samples, ours.samples(row))
        assert samples.shape == (480 * len(row),)


@pytest.mark.parametrize("lengths", [(1,), (33,), (8, 8), (40, 9, 33, 1, 0, 25), (60, 31, 32, 33) * 4], ids=len)
def test_graphs_give_what_is_computed_eagerly(codec_parts, ours, lengths) -> None:
    """Recorded ones, of rows that are padded to the same frames; what was there before does not matter."""
    graphed = CodecDecoder.from_state_dict(*codec_parts, backend=RecordingGraphs())
    graphed.batch([codes_of(64, 99)] * 8)
    rows = [codes_of(length, seed) for seed, length in enumerate(lengths)]
    for row, samples in zip(rows, graphed.batch(rows), strict=True):
        torch.testing.assert_close(samples, ours.samples(row), rtol=0, atol=1e-5)


def test_graphs_are_captured_once_for_each_shape(codec_parts) -> None:
    """Lengths that are rounded up to the same frames, and numbers of rows to the same power of two, share one."""
    backend = RecordingGraphs()
    graphed = CodecDecoder.from_state_dict(*codec_parts, backend=backend)
    for lengths in ((33,), (39,), (40,), (40, 33, 39), (40, 40, 40, 40)):
        graphed.batch([codes_of(length) for length in lengths])
    assert backend.captures == 2
    assert backend.replays == 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("graphs", [False, True], ids=["eager", "graphs"])
def test_on_a_gpu(codec_parts, ours, graphs, monkeypatch) -> None:
    """Several together, in float32, without TF32."""
    from realtts.accel.graphs.cuda_graph import CudaGraphs

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    backend = CudaGraphs("cuda") if graphs else None
    there = CodecDecoder.from_state_dict(*codec_parts, device="cuda", backend=backend)
    rows = [codes_of(length, length) for length in (50, 20, 44)]
    for row, samples in zip(rows, there.batch(rows), strict=True):
        torch.testing.assert_close(samples.cpu(), ours.samples(row), rtol=0, atol=1e-3)


def test_half_precision_is_as_good_as_upstreams(codec_folder, codec_parts, ours) -> None:
    """bfloat16: the error is no more than transformers' with all weights in it, and 20 dB below the sound."""
    from transformers import NeuCodecModel

    half = CodecDecoder.from_state_dict(*codec_parts, dtype=torch.bfloat16)
    codes = codes_of(60)
    exact, found = ours.samples(codes), half.samples(codes)
    assert found.dtype == torch.float32
    upstream = NeuCodecModel.from_pretrained(codec_folder, dtype=torch.bfloat16).eval()
    theirs = (whole_of(upstream, codes).float() - exact).square().mean()
    error = (found - exact).square().mean()
    assert error <= theirs
    assert error < 0.01 * exact.square().mean()


def test_attention_with_biases(codec_parts) -> None:
    """As the configuration allows it."""
    from transformers import NeuCodecConfig, NeuCodecModel

    config = {**codec_parts[0], "attention_bias": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        upstream = NeuCodecModel(NeuCodecConfig(**config)).eval()
        for name, weight in upstream.named_parameters():
            if name.endswith("_proj.bias"):
                torch.nn.init.normal_(weight)
    ours = CodecDecoder.from_state_dict(config, upstream.state_dict())
    codes = codes_of(30)
    torch.testing.assert_close(ours.samples(codes), whole_of(upstream, codes), rtol=0, atol=1e-4)


def test_work_is_counted(codec_parts, ours) -> None:
    """For the report: each weight once for each frame, and attention, which grows with the square of them."""
    config, state = codec_parts
    folded = ("acoustic_decoder.embed", "acoustic_decoder.fc", "quantizer")
    decoding = [name for name in state if name.startswith("acoustic_decoder.") and not name.startswith(folded)]
    kept = sum(state[name].numel() for name in decoding if state[name].dim() > 1)
    embedding = config["hidden_size"] * 9 * 7
    assert ours.bytes_read == 4 * (kept + embedding)
    inner = config["num_attention_heads"] * config["head_dim"]
    attention = 4 * config["num_hidden_layers"] * inner * 50 * 50
    assert ours.flops(50) == 2 * 50 * (kept + embedding) + attention
    half = CodecDecoder.from_state_dict(*codec_parts, dtype=torch.bfloat16)
    assert ours.bytes_read / 2 < half.bytes_read < ours.bytes_read


def test_wrong_tensors_are_refused_by_name(codec_parts) -> None:
    """Missing, misshapen and unexpected ones; those of the encoder may be missing."""
    config, lazy = codec_parts
    state = {name: lazy[name] for name in lazy if name.startswith(("acoustic_decoder.", "quantizer."))}
    CodecDecoder.from_state_dict(config, state)
    name = "acoustic_decoder.post_net.1.conv2.weight"
    with pytest.raises(CheckpointMismatch, match=rf"{name} is missing"):
        CodecDecoder.from_state_dict(config, {key: state[key] for key in state if key != name})
    with pytest.raises(CheckpointMismatch, match=rf"{name} has the shape"):
        CodecDecoder.from_state_dict(config, {**state, name: state[name][:1]})
    more = "acoustic_decoder.layers.2.mlp.fc1.weight"
    with pytest.raises(CheckpointMismatch, match=rf"unexpected.*{more}"):
        CodecDecoder.from_state_dict(config, {**state, more: torch.zeros(1)})
    with pytest.raises(CheckpointMismatch, match=r"decoder\.model\.0\.weight"):
        CodecDecoder.from_state_dict(config, {"decoder.model.0.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"model_type": "xcodec2"}, "model_type"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type"),
        ({"quantization_dim": 127}, "quantization_dim"),
        ({"num_key_value_heads": 2}, "num_key_value_heads"),
        ({"num_hidden_layers": "many"}, "cannot be understood"),
    ],
)
def test_other_codecs_are_refused(codec_parts, entry, said) -> None:
    """By what their configuration says."""
    config, state = codec_parts
    with pytest.raises(CheckpointMismatch, match=said):
        CodecDecoder.from_state_dict({**config, **entry}, state)


@pytest.mark.slow
def test_full_size() -> None:
    """Upstream's size, by transformers' defaults."""
    from transformers import NeuCodecConfig, NeuCodecModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        semantic = {"model_type": "wav2vec2-bert", "num_hidden_layers": 1}
        upstream = NeuCodecModel(NeuCodecConfig(semantic_model_config=semantic)).eval()
    ours = CodecDecoder.from_state_dict({}, upstream.state_dict())
    codes = codes_of(100)
    torch.testing.assert_close(ours.samples(codes), whole_of(upstream, codes), rtol=0, atol=1e-4)
