"""Codes to samples: upstream's numbers, whole and in pieces of any size."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from realtts.errors import CheckpointMismatch
from realtts.testing.device import HostDevice
from realtts.testing.recording import RecordingGraphs
from realtts_qwen3 import codec_graphs
from realtts_qwen3.codec import CodecDecoder, CodecState

MODEL = "0.6b-base"


@pytest.fixture(scope="module")
def parts(weights_of):
    """Configuration and tensors of the decoder."""
    weights = weights_of(MODEL)
    return weights.codec.decoder, weights.states.decoder


@pytest.fixture(scope="module")
def ours(parts):
    """Our decoder in float32."""
    return CodecDecoder.read(*parts).compile()


def codes_of(frames, seed=0):
    """Codes as good as any others."""
    return torch.randint(0, 2048, (frames, 16), generator=torch.Generator().manual_seed(seed))


def pushed(decoder, state, codes, sizes):
    """Samples in pieces of those sizes."""
    return torch.cat([decoder.push(state, piece) for piece in codes.split(sizes)])


@pytest.mark.parametrize("frames", [1, 2, 80])
def test_samples_are_upstreams(upstream_of, ours, frames) -> None:
    """Of its whole decoder, and of its public call, which up to 300 frames decodes the whole."""
    upstream = upstream_of(MODEL).model.speech_tokenizer.model.decoder
    codes = codes_of(frames, frames)
    samples = ours.samples(codes)
    assert samples.shape == (1920 * frames,)
    assert 1e-3 < float(samples.std()) < 0.5  # neither silence nor cut off everywhere
    with torch.inference_mode():
        batch = codes.t()[None]
        torch.testing.assert_close(samples, upstream(batch)[0, 0], rtol=0, atol=1e-4)
        torch.testing.assert_close(samples, upstream.chunked_decode(batch, 300, 25)[0, 0], rtol=0, atol=1e-4)


@pytest.mark.full  # by default: pieces past the window, and 80 frames of upstream's
def test_beyond_upstreams_chunk_the_whole_is_decoded(upstream_of, ours) -> None:
    """Where upstream's public call begins anew with 25 frames of context, this goes on."""
    upstream = upstream_of(MODEL).model.speech_tokenizer.model.decoder
    codes = codes_of(310)
    with torch.inference_mode():
        whole = upstream(codes.t()[None])[0, 0]
    torch.testing.assert_close(ours.samples(codes), whole, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def long(ours):
    """Codes beyond the transformer's window of 72 frames, and their samples as a whole."""
    codes = codes_of(80, 1)
    return codes, ours.samples(codes)


@pytest.mark.parametrize("size", [1, 7, 25])
def test_pieces_equal_the_whole(ours, long, size) -> None:
    """Past the transformer's window too."""
    codes, whole = long
    torch.testing.assert_close(pushed(ours, ours.start(), codes, size), whole, rtol=0, atol=1e-5)


def test_pieces_of_different_sizes_equal_the_whole(ours, long) -> None:
    """Empty ones among them."""
    codes, whole = long
    samples = pushed(ours, ours.start(), codes, [0, 11, 2, 0, 29, 3, 1, 17, 0, 16, 1])
    torch.testing.assert_close(samples, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", [None, RecordingGraphs()], ids=["eager", "graphs"])
def test_torchs_convolutions_give_the_same(parts, ours, backend) -> None:
    """As they are used on a GPU, where late layers take whole pieces; in batches too."""
    other = CodecDecoder.read(*parts, convolve=True).compile(backend)
    codes = torch.stack([codes_of(12, 1), codes_of(12, 2)])
    whole = torch.stack([ours.samples(row) for row in codes])
    state = other.start(2)
    samples = torch.cat([other.push(state, piece) for piece in codes.split([1, 2, 5, 4], 1)], 1)
    torch.testing.assert_close(samples, whole, rtol=0, atol=1e-5)


def test_no_frames_give_no_samples(ours) -> None:
    """And leave the state as it is."""
    state = ours.start()
    assert ours.samples(codes_of(0)).shape == (0,)
    assert ours.push(state, codes_of(0)).shape == (0,)
    assert state.past.tolist() == [0]


def test_a_reference_is_decoded_once(ours) -> None:
    """Copies of its state go on with different speech, and it stays what it was."""
    reference = codes_of(10)
    after = ours.start()
    ours.push(after, reference)
    before = after.clone()
    for seed in (1, 2):
        codes = codes_of(9, seed)
        whole = ours.samples(torch.cat([reference, codes]))
        torch.testing.assert_close(ours.push(after.clone(), codes), whole[10 * 1920 :], rtol=0, atol=1e-5)
    assert torch.equal(after.buffer, before.buffer)
    assert after.past.tolist() == [10]


def test_rows_with_different_pasts_equal_single_streams(ours) -> None:
    """Some begin, some are within the window, some beyond; some leave while others go on."""
    begun, states = [0, 5, 75], []
    firsts = [codes_of(frames, frames) for frames in begun]
    for codes in firsts:
        states.append(ours.start())
        ours.push(states[-1], codes)
    together = CodecState.stack(states)
    assert together.past.tolist() == begun
    rest = torch.stack([codes_of(8, 50 + row) for row in range(3)])
    samples = ours.push(together, rest[:, :5])
    fewer = together.select([2, 0])
    last = ours.push(fewer, rest[[2, 0], 5:])
    wholes = [ours.samples(torch.cat([first, more])) for first, more in zip(firsts, rest, strict=True)]
    for row, whole in enumerate(wholes):
        begin = begun[row] * 1920
        torch.testing.assert_close(samples[row], whole[begin : begin + 5 * 1920], rtol=0, atol=1e-5)
    for row, index in enumerate([2, 0]):
        torch.testing.assert_close(last[row], wholes[index][-3 * 1920 :], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        ours.samples(rest), torch.stack([ours.samples(codes) for codes in rest]), atol=1e-5, rtol=0
    )


def test_half_precision_is_as_good_as_upstreams(upstream_of, parts, ours) -> None:
    """bfloat16: the error's power is no more than upstream's with all weights in it, and 20 dB below the sound."""
    half = CodecDecoder.read(*parts, dtype=torch.bfloat16).compile()
    codes = codes_of(40)
    exact, samples = ours.samples(codes), half.samples(codes)
    assert samples.dtype == torch.float32
    error = (samples - exact).pow(2).mean()
    assert error < 0.01 * exact.pow(2).mean()
    upstream = copy.deepcopy(upstream_of(MODEL).model.speech_tokenizer.model.decoder).to(torch.bfloat16)
    with torch.inference_mode():
        theirs = upstream(codes.t()[None])[0, 0].float()
    assert error <= (theirs - exact).pow(2).mean()


def test_half_precision_streams_from_copied_states(parts) -> None:
    """Pieces differ from the whole by rounding alone."""
    half = CodecDecoder.read(*parts, dtype=torch.bfloat16).compile()
    codes = codes_of(30)
    whole = half.samples(codes)
    error = pushed(half, half.start(), codes, 7) - whole
    assert error.pow(2).mean() < 0.01 * whole.pow(2).mean()


def test_graphs_give_what_is_computed_eagerly(parts, ours, monkeypatch) -> None:
    """Recorded ones, for powers of two, replayed for streams that take turns; a long piece takes the largest twice."""
    monkeypatch.setattr(codec_graphs, "LARGEST", 4)
    backend = RecordingGraphs()
    graphed = CodecDecoder.read(*parts).compile(backend)
    codes = [codes_of(15, seed) for seed in (1, 2)]
    states = [graphed.start(), graphed.start()]
    samples: list[list[torch.Tensor]] = [[], []]
    for begin, size in ((0, 1), (1, 2), (3, 3), (6, 9)):
        for row in range(2):
            samples[row].append(graphed.push(states[row], codes[row][begin : begin + size]))
    for row in range(2):
        torch.testing.assert_close(torch.cat(samples[row]), ours.samples(codes[row]), rtol=0, atol=1e-5)
    assert backend.captures == 3  # 1, 2 and 4
    assert backend.replays == 14


def test_convolutions_can_be_offloaded(parts) -> None:
    """No weight of torch's convolutions is a view, which could not be moved."""
    decoder, codes = CodecDecoder.read(*parts, convolve=True).compile(), codes_of(3)
    expected = decoder.samples(codes)
    device = HostDevice()
    turns = device.turns()
    turns.add("codec", decoder)
    with turns.use("codec"):
        assert torch.equal(decoder.samples(codes), expected)
    assert device.copies > 0


def test_graphs_take_batches(parts, ours) -> None:
    """Rows with different pasts."""
    graphed = CodecDecoder.read(*parts).compile(RecordingGraphs())
    states = [graphed.start(), graphed.start()]
    first = codes_of(4)
    graphed.push(states[0], first)
    codes = torch.stack([codes_of(2, 5), codes_of(2, 6)])
    samples = graphed.push(CodecState.stack(states), codes)
    expected = ours.samples(torch.cat([first, codes[0]]))[4 * 1920 :], ours.samples(codes[1])
    torch.testing.assert_close(samples, torch.stack(expected), rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graphs_on_a_gpu(parts, ours, monkeypatch) -> None:
    """Real ones, in float32, without TF32 in its convolutions."""
    from realtts.accel.graphs.cuda_graph import CudaGraphs

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    graphed = CodecDecoder.read(*parts, device="cuda").compile(CudaGraphs("cuda"))
    codes = codes_of(20)
    samples = pushed(graphed, graphed.start(), codes.cuda(), [1, 2, 3, 14]).cpu()
    torch.testing.assert_close(samples, ours.samples(codes), rtol=0, atol=1e-3)


def test_wrong_tensors_are_refused_by_name(parts) -> None:
    """Missing, misshapen and unexpected ones, and an activation of another model."""
    config, lazy = parts
    state = {name: lazy[name] for name in lazy}
    name = "decoder.2.block.3.conv1.conv.weight"
    with pytest.raises(CheckpointMismatch, match=f"{name} is missing"):
        CodecDecoder.read(config, {key: state[key] for key in state if key != name})
    with pytest.raises(CheckpointMismatch, match=f"{name} has the shape"):
        CodecDecoder.read(config, {**state, name: state[name][:1]})
    with pytest.raises(CheckpointMismatch, match=r"unexpected.*decoder\.9\.weight"):
        CodecDecoder.read(config, {**state, "decoder.9.weight": torch.zeros(1)})
    with pytest.raises(CheckpointMismatch, match="hidden_act"):
        CodecDecoder.read({**config, "hidden_act": "gelu"}, state)


def test_operations_are_those_that_torch_counts(upstream_of, parts, ours) -> None:
    """In upstream's decoder, whose transposed convolutions make some samples that are cut off; in every frame alike."""
    upstream = upstream_of(MODEL).model.speech_tokenizer.model.decoder
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        upstream(codes_of(40).t()[None])
    assert ours.flops(40) == pytest.approx(counter.get_total_flops(), rel=0.03)
    assert ours.flops(80) == 2 * ours.flops(40)
    weights = sum(tensor.nbytes for name, tensor in parts[1].items() if name.endswith("conv.weight"))
    assert weights < ours.bytes_read < sum(tensor.nbytes for tensor in parts[1].values())
