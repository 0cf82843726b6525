"""What a step of each model launches on a GPU, counted on a pretended one: budgets, and nothing made on the host.

Networks are those of upstream's checkpoints at full size, without their values. A budget is so many launches a layer,
and so many around the layers; `docs/benchmarks/2026-11-30-launches.md` has what they were before.
"""

import importlib.util
import sys

import pytest

torch = pytest.importorskip("torch")

from pretended_cuda import BUILT, DEVICE, HALF, PLAIN, pretended, shapes_of_module, state_of  # noqa: E402

from realtts.accel.sampling import SamplingParams  # noqa: E402
from realtts.testing.launches import CountingGraphs  # noqa: E402

ATTENDED = 512

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not BUILT, reason="torch is built for the CPU alone, and cannot pretend a CUDA device"),
]


def needs(*names):
    """Skip where a package is not installed: each session has one model's."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} is not installed")


def captured(loop, params, graphs, *, attended=ATTENDED):
    """The counter of one row's step."""
    loop.sampler.set(0, params, 0)
    before = len(graphs.counters)
    loop.queue.capture(attended, 1)
    return graphs.counters[before]


def report(name, counter, record_property):
    """Note a count where a report of the tests is kept, and show it with -s."""
    record_property(name, counter.total)
    sys.stdout.write(f"\n{name}: {counter.total}; host {dict(counter.host)}; {counter.launches.most_common(14)}\n")


@needs("realtts_chatterbox", "chatterbox")
@pytest.mark.parametrize(
    ("model", "precision", "most"),
    [
        pytest.param("english", HALF, 300, id="english"),
        pytest.param("english", PLAIN, 780, id="english-plain"),
        pytest.param("turbo", HALF, 300, id="turbo"),
        pytest.param("multilingual", HALF, 300, id="multilingual"),
    ],
)
def test_t3_step(monkeypatch, record_property, model, precision, most):
    """Chatterbox's speech language model, with guidance where it has it."""
    from realtts_chatterbox.building import empty_t3
    from realtts_chatterbox.checkpoint import T3_SIZES
    from realtts_chatterbox.network import T3

    shapes = shapes_of_module(empty_t3(model, T3_SIZES[model, "full"]))
    graphs, guided = CountingGraphs(), model != "turbo"
    params = SamplingParams(
        temperature=0.8, top_p=1.0 if guided else 0.95, top_k=0 if guided else 1000, min_p=0.05 if guided else 0.0,
        repetition_penalty=1.2, guidance=0.5 if guided else 0.0,
    )  # fmt: skip
    with pretended(monkeypatch):
        t3 = T3.from_state_dict(
            state_of(shapes), kind=model, device=DEVICE, precision=precision, backend=graphs, places=1
        )
        counter = captured(t3.rows.loop(guides=guided), params, graphs)
    report(f"T3 {model}", counter, record_property)
    assert counter.total <= most
    assert not counter.host


@needs("realtts_qwen3", "tokenizers")
@pytest.mark.parametrize(("precision", "most"), [(HALF, 1500), (PLAIN, 3600)], ids=["fused", "plain"])
@pytest.mark.parametrize("model", ["0.6b-custom-voice", "1.7b-custom-voice"])
def test_qwen3_frame(monkeypatch, record_property, model, precision, most):
    """A talker's step and fifteen of the code predictor's."""
    from realtts_qwen3.configurations import FIRST_SPECIAL, model_config
    from realtts_qwen3.frames import FrameRows
    from realtts_qwen3.network import Talker
    from realtts_qwen3.shapes import model_shapes
    from realtts_qwen3.sizes import read_sizes

    config = model_config(model, "full", special_tokens(FIRST_SPECIAL["full"]))
    sizes, graphs = read_sizes(config), CountingGraphs()
    shapes = {
        name.removeprefix("talker."): shape for name, shape in model_shapes(sizes).items() if name.startswith("talker.")
    }
    params = SamplingParams(temperature=0.9, top_k=50, repetition_penalty=1.05)
    with pretended(monkeypatch):
        talker = Talker.from_state_dict(
            sizes, state_of(shapes, torch.bfloat16), device=DEVICE, precision=precision, backend=graphs
        )
        rows = talker.rows_for(ATTENDED)
        assert isinstance(rows, FrameRows)
        rows._draw.sampler.set(0, SamplingParams(temperature=0.9, top_k=50), 0)
        counter = captured(rows.loop, params, graphs)
    report(f"Qwen3 {model}", counter, record_property)
    assert counter.total <= most
    assert not counter.host


def special_tokens(first):
    """Ids of the special tokens that a configuration names, as a vocabulary counts them."""
    from realtts_qwen3.vocabulary import SPECIAL

    return {"assistant": 0, **{token: first + distance for token, distance in SPECIAL.items()}}


@needs("realtts_vieneu", "transformers")
@pytest.mark.parametrize(("precision", "most"), [(HALF, 300), (PLAIN, 680)], ids=["fused", "plain"])
def test_vieneu_token(monkeypatch, record_property, precision, most):
    """A step of VieNeu's language model, with the head of speech alone."""
    from realtts_vieneu.checkpoint import network_shapes
    from realtts_vieneu.configurations import CODES, model_config
    from realtts_vieneu.network import SpeechLM
    from realtts_vieneu.sizes import read_sizes
    from realtts_vieneu.utterance import DEFAULTS, SpeechIds

    config = model_config("v1", "full", 217_216)
    sizes, graphs = read_sizes(config), CountingGraphs()
    first = 151_669
    speech = SpeechIds(codes=tuple(range(first, first + CODES)), end=first + CODES)
    with pretended(monkeypatch):
        lm = SpeechLM.from_state_dict(
            sizes, speech, state_of(network_shapes(config), torch.bfloat16),
            device=DEVICE, precision=precision, places=1, backend=graphs,
        )  # fmt: skip
        counter = captured(lm.rows.loop, DEFAULTS, graphs)
    report("VieNeu v1", counter, record_property)
    assert counter.total <= most
    assert not counter.host


@needs("realtts_f5", "f5_tts")
@pytest.mark.parametrize(("joined", "most"), [(True, 250), (False, 500)], ids=["fused", "plain"])
@pytest.mark.parametrize("model", ["f5-v1-base", "e2-base"])
def test_f5_step(monkeypatch, record_property, model, joined, most):
    """A step of the solver with guidance, of a padded length."""
    from realtts_f5.building import empty_model
    from realtts_f5.checkpoint import architecture_of
    from realtts_f5.network import Network
    from realtts_f5.solver_graphs import Graphs

    architecture = architecture_of(model, "full")
    shapes, graphs = shapes_of_module(empty_model(architecture, 2545)), CountingGraphs()
    with pretended(monkeypatch):
        state = state_of(shapes)
        net = Network(architecture, state, device=torch.device(DEVICE))
        net.convert(state, torch.bfloat16)
        net.pack(joined=joined)
        monkeypatch.setattr(net, "steps", lambda _: net._backbone.steps(net._time(torch.empty(1, device=DEVICE))))
        Graphs(net, backend=graphs).capture(896, rows=2)
    (counter,) = graphs.counters
    report(f"{model} step", counter, record_property)
    if model == "f5-v1-base":
        assert counter.total <= most
    assert not counter.host


@needs("realtts_chatterbox", "chatterbox")
@pytest.mark.parametrize(("joined", "most"), [(True, 560), (False, 1000)], ids=["fused", "plain"])
@pytest.mark.parametrize("model", ["english", "turbo"])
def test_chatterbox_flow_step(monkeypatch, record_property, model, joined, most):
    """A step of the flow's solver, of a padded length."""
    from realtts_chatterbox.building import empty_s3gen
    from realtts_chatterbox.estimator import Estimator
    from realtts_chatterbox.flow import finished
    from realtts_chatterbox.sizes import S3GenSizes
    from realtts_chatterbox.solver import GraphedSolver

    prefix, graphs = "flow.decoder.estimator.", CountingGraphs()
    shapes = {
        name.removeprefix(prefix): shape
        for name, shape in shapes_of_module(empty_s3gen(model, S3GenSizes())).items()
        if name.startswith(prefix)
    }
    with pretended(monkeypatch):
        estimator = Estimator(state_of(shapes), torch.device(DEVICE), torch.bfloat16)
        if joined:
            estimator.join()
        solver = GraphedSolver(estimator, graphs)
        conditioning, start = torch.empty(600, 240, device=DEVICE), torch.empty(600, 80, device=DEVICE)
        times = torch.empty(2, device=DEVICE)
        finished(solver([conditioning], [start], times, lambda: False))
    (counter,) = graphs.counters
    report(f"flow {model}", counter, record_property)
    assert counter.total <= most
    assert not counter.host
