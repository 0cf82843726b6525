"""The usual rungs follow the settings and the machine."""

import dataclasses
import logging
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from realtts import AttentionUnavailable, Context, ProviderSpec, Settings  # noqa: E402
from realtts.accel.decoder import DecoderConfig, Precision, rungs  # noqa: E402
from realtts.accel.decoder.precision import choose_kv_dtype  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.contract.voice_cache import VoiceCache  # noqa: E402


def context_of(device="cpu", dtype="bfloat16", **settings):
    """A context as the ladder makes one."""
    return Context(
        spec=ProviderSpec(name="x", summary="x", sample_rates=(24000,), plain="x:X"),
        settings=Settings(**settings),
        variant="optimized",
        device=device,
        dtype=dtype,
        rung=None,
        checkpoint=None,
        voice_cache=VoiceCache(),
        log=logging.getLogger("test"),
        report=lambda _event: None,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"quantization": "int8"}, ["native-int8", "int8", "bf16", "fp32"]),
        ({"quantization": "int4"}, ["native-int4", "int4", "bf16", "fp32"]),
        ({"quantization": "int8", "native": False}, ["int8", "bf16", "fp32"]),
        ({"quantization": "int4", "native": True, "strict": True}, ["native-int4", "int4", "bf16", "fp32"]),
        (
            {"quantization": "int8", "cuda_graphs": True},
            ["native-int8", "int8+cuda_graphs", "int8", "bf16+cuda_graphs", "bf16", "fp32+cuda_graphs", "fp32"],
        ),
        ({"quantization": "fp8"}, ["fp8", "bf16", "fp32"]),
        ({"device": "cuda:0", "quantization": "fp8", "cuda_graphs": False}, ["fp8", "bf16", "fp32"]),
        ({"quantization": "none"}, ["bf16", "fp32"]),
        ({"quantization": "none", "dtype": "float32"}, ["fp32"]),
        ({"device": "cuda:0"}, ["bf16+cuda_graphs", "bf16", "fp32+cuda_graphs", "fp32"]),
        ({"device": "cuda:0", "cuda_graphs": False, "dtype": "float16"}, ["fp16", "fp32"]),
        (
            {"device": "cuda:0", "quantization": "int4", "cuda_graphs": False},
            ["int4", "bf16", "fp32"],
        ),
    ],
)
def test_order(given, expected):
    """Fastest first, nothing twice."""
    assert [rung.name for rung in rungs.decoder_rungs(context_of(**given))] == expected


@pytest.mark.parametrize(("features", "first"), [({"avx512_vnni"}, "native-int8"), ({"avx2"}, "fp32")])
def test_int8_by_itself_only_with_the_instructions(monkeypatch, features, first):
    """On a CPU without them it would be slower, and is only taken when asked for."""
    monkeypatch.setattr(rungs, "cpu_features", lambda: frozenset(features))
    assert rungs.decoder_rungs(context_of(dtype="float32"))[0].name == first


@pytest.fixture
def able(monkeypatch):
    """A CPU with every instruction, whose int8 rung would come first by itself."""
    monkeypatch.setattr(rungs, "cpu_features", lambda: frozenset({"avx512_vnni", "avx512_bf16"}))


def named(dtype, **settings):
    """The context of a user who names a dtype."""
    context = context_of(dtype=dtype, **settings)
    return dataclasses.replace(context, settings=context.settings.model_copy(update={"dtype": dtype}))


@pytest.mark.parametrize(
    ("dtype", "settings", "expected"),
    [
        ("float32", {}, ["fp32"]),
        ("float32", {"device": "cuda:0", "cuda_graphs": False}, ["fp32"]),
        ("bfloat16", {}, ["bf16", "fp32"]),
        ("float16", {}, ["fp16", "fp32"]),
        ("float32", {"quantization": "int8"}, ["native-int8", "int8", "fp32"]),
        ("bfloat16", {"quantization": "int4"}, ["native-int4", "int4", "bf16", "fp32"]),
        ("float32", {"quantization": "none"}, ["fp32"]),
    ],
)
def test_a_named_dtype_holds_for_the_weights(able, dtype, settings, expected):
    """Nothing is quantized by itself; quantization that is named as well still is."""
    assert [rung.name for rung in rungs.decoder_rungs(named(dtype, **settings))] == expected


@pytest.mark.parametrize(
    ("policy", "given", "expected"),
    [
        ("exact", {}, ["fp32"]),
        ("balanced", {}, ["native-int8", "int8", "bf16", "fp32"]),
        ("fast", {}, ["native-int4", "int4", "native-int8", "int8", "bf16", "fp32"]),
        ("fast", {"native": False}, ["int4", "int8", "bf16", "fp32"]),
        ("fast", {"quantization": "int8"}, ["native-int8", "int8", "bf16", "fp32"]),
        ("fast", {"quantization": "none"}, ["bf16", "fp32"]),
        ("balanced", {"quantization": "int4"}, ["native-int4", "int4", "bf16", "fp32"]),
        ("fast", {"device": "cuda:0", "cuda_graphs": False}, ["bf16", "fp32"]),
    ],
)
def test_the_policy_decides_what_is_not_named(able, policy, given, expected):
    """And no more than that."""
    dtype = "float32" if policy == "exact" else "bfloat16"
    context = context_of(dtype=dtype, precision_policy=policy, **given)
    assert [rung.name for rung in rungs.decoder_rungs(context)] == expected


@pytest.mark.parametrize("policy", ["balanced", "fast"])
def test_a_named_dtype_wins_over_the_policy(able, policy):
    """Nothing is quantized then."""
    assert [rung.name for rung in rungs.decoder_rungs(named("float32", precision_policy=policy))] == ["fp32"]


def test_without_a_name_the_machine_decides(able):
    """As before."""
    assert rungs.decoder_rungs(context_of())[1].name == "int8"


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("quantization", ["none", "int8", "fp8", "int4"])
def test_in_float32_activations_and_cache_are_float32(device, quantization):
    """Whatever the weights are packed to."""
    precision = rungs.precision_of(named("float32", device=device, quantization=quantization))
    assert precision.activations == precision.kv == torch.float32


def test_every_rung_says_all_it_decides():
    """Dtype, quantization and graphs are in its settings, so that status and verify see what runs."""
    for rung in rungs.decoder_rungs(context_of("cuda:0", quantization="int8")):
        assert set(rung.settings) == {"dtype", "quantization", "cuda_graphs"}
        assert "auto" not in rung.settings.values()


def test_what_a_rung_means_for_the_decoder():
    """Weights, activations and backend."""
    cpu = context_of(quantization="int8", cuda_graphs=False)
    assert rungs.precision_of(cpu).weights == "int8"
    assert rungs.precision_of(cpu).activations == torch.float32
    assert rungs.graphs_of(cpu) is None
    assert rungs.why_no_graphs(cpu) is None
    cuda = dataclasses.replace(cpu, device="cuda:1", settings=Settings(quantization="none", cuda_graphs=True))
    assert rungs.precision_of(cuda).weights == "bf16"
    assert rungs.precision_of(cuda).activations == torch.bfloat16
    assert isinstance(rungs.graphs_of(cuda), CudaGraphs)
    assert "cuda_graphs=False" in rungs.why_no_graphs(dataclasses.replace(cuda, device="cpu"))


def test_what_is_not_quantized_may_have_a_type_of_its_own():
    """A model with large parts beside its decoder."""
    first = rungs.decoder_rungs(context_of(quantization="int8"), beside="bfloat16")[0]
    assert (first.settings["quantization"], first.settings["dtype"]) == ("int8", "bfloat16")
    assert rungs.decoder_rungs(context_of(quantization="int8"))[0].settings["dtype"] == "float32"


def test_what_the_status_tells_of_a_decoder():
    """Weights, kernel, the cache's type and graphs."""
    decoder = SimpleNamespace(
        precision=Precision("int8", torch.float32),
        kernel=SimpleNamespace(name="fast"),
        kv_dtype=torch.bfloat16,
        compiled=True,
        fused=None,
        step_facts={"threads": 2},
    )
    details = {
        "weights": "int8", "quantization": "int8", "kernel": "fast", "kv_dtype": "bfloat16", "cuda_graphs": True,
        "compile": True, "fused": False, "threads": 2,
    }  # fmt: skip
    assert rungs.decoder_details(decoder, graphs=True) == details


@pytest.mark.parametrize(
    ("asked", "graphs", "expected"),
    [("auto", False, "own"), ("auto", True, "flash"), ("sdpa", False, "sdpa"), ("eager", False, "math")],
)
def test_the_attention_of_what_stands_beside_a_decoder(asked, graphs, expected):
    """Our own on the CPU while nothing else is asked for and nothing is captured, else torch's."""
    context = context_of(attention=asked)
    assert rungs.attention_beside(context, torch.float32, 64, graphs=graphs)["attention"] == expected


def test_an_attention_that_cannot_be_had_is_told_or_refused():
    """With the reason."""
    found = rungs.attention_beside(context_of(attention="flash_attention_2"), torch.float32, 64, graphs=False)
    assert found["no_attention"].startswith("flash_attention_2: ")
    with pytest.raises(AttentionUnavailable):
        rungs.attention_beside(context_of(attention="flash_attention_2", strict=True), torch.float32, 64, graphs=False)


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        ({"dtype": "float32", "quantization": "none"}, True),
        ({"dtype": "float32", "quantization": "int8"}, False),
        ({"dtype": "bfloat16", "quantization": "none"}, False),
        ({"dtype": "float32", "quantization": "none", "cuda_graphs": True}, False),
        ({"dtype": "float32", "quantization": "none", "compile": True}, False),
        ({"dtype": "float32", "quantization": "none", "attention": "sdpa"}, False),
    ],
)
def test_where_the_file_alone_can_be_at_fault(given, exact):
    """A graph, a compiled function or a kernel may be wrong, too: then the next rung is tried."""
    assert rungs.is_exact(context_of(**given)) is exact


@pytest.mark.parametrize(
    ("device", "dtype", "quantization", "types"),
    [
        ("cuda:0", "float16", "none", (torch.float32, torch.float16)),
        ("cuda:0", "float16", "int8", (torch.float32, torch.float32)),
        ("cuda:0", "bfloat16", "none", (torch.bfloat16, torch.bfloat16)),
        ("cuda:0", "bfloat16", "int4", (torch.bfloat16, torch.bfloat16)),
        ("cuda:1", "float32", "none", (torch.float32, torch.float32)),
        ("cpu", "float16", "none", (torch.float32, torch.float32)),
    ],
)
def test_the_residual_stream_is_never_float16(monkeypatch, device, dtype, quantization, types):
    """Sums over many layers pass 65504, where float16 ends; keys and values are far from it."""
    monkeypatch.setattr("realtts.accel.decoder.precision.autotune", lambda *_: "fp32")
    precision = rungs.precision_of(context_of(device, dtype, quantization=quantization))
    config = DecoderConfig(layers=1, hidden_size=8, heads=2, kv_heads=2, head_dim=4, mlp_size=8)
    assert (precision.activations, choose_kv_dtype(config, precision, (1,), torch.device(device))) == types
    if quantization == "none":
        assert Precision.of(precision.weights, torch.device(device)).activations == types[0]


@pytest.mark.parametrize(
    ("device", "dtype", "given", "expected"),
    [
        ("cuda:0", "bfloat16", {}, True),
        ("cuda:1", "float16", {}, True),
        ("cuda:0", "float32", {}, False),
        ("cuda:0", "float32", {"compile": True}, True),
        ("cuda:0", "bfloat16", {"compile": False}, False),
        ("cuda:0", "bfloat16", {"cpu_offload": True}, False),
        ("cpu", "bfloat16", {"compile": True}, False),
    ],
)
def test_steps_are_fused_on_cuda_below_float32(device, dtype, given, expected):
    """Or where it is asked for; never of weights that move, and nowhere else."""
    context = context_of(device, dtype, **given)
    assert rungs.fuses(context) is expected
    assert rungs.precision_of(context).fused is expected
