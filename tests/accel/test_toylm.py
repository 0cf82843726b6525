"""The toy speech language model: a provider on the toolkit, from its checkpoint to the command line."""

from __future__ import annotations

import gc
import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from realtts import RealProvider, checkpoints, errors  # noqa: E402
from realtts.accel.decoder import Precision  # noqa: E402
from realtts.bench import Text, Workload, run_verify  # noqa: E402
from realtts.bench.subject import Subject  # noqa: E402
from realtts.cli.app import run  # noqa: E402
from realtts.testing import ContinuousConformance, OptimizedConformance, ProviderConformance  # noqa: E402
from realtts.testing.device import live_tensors  # noqa: E402
from realtts.testing.load import mixed_load  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402
from realtts_toylm import (  # noqa: E402
    frontend,
    spec,
    testing as tools,
)
from realtts_toylm.codec import SAMPLES_PER_TOKEN, Codec  # noqa: E402
from realtts_toylm.loading import FILES, empty_network, read_network  # noqa: E402
from realtts_toylm.optimized import LoopEngine  # noqa: E402

EXACT = {"dtype": "float32", "quantization": "none"}
TEXTS = ["Hello there.", "Hm.", "A rather longer sentence, with a comma in it.", "Grüße, 你好 👋!"]


@pytest.fixture(scope="module", autouse=True)
def _imported_modules_stay():
    """Leave what is imported out of the collections that every unload makes: torch alone is half of the objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def _folders(tmp_path_factory):
    """Keep what is measured of kernels for all tests of this file, and find no configuration of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small random checkpoint, as the user names it."""
    folder = tmp_path_factory.mktemp("tiny")
    tools.write_random_checkpoint(folder)
    return str(folder)


@pytest.fixture
def make(tiny):
    """Makes providers that are closed at the end of the test, by default with torch's kernels."""
    made = []

    def make(changed=spec, **settings):
        given = {"model": tiny, "device": "cpu", "threads": 1, "native": False, **settings}
        made.append(RealProvider(changed, **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def inside(tiny):
    """Calls a function with context, model and the requests of some texts, inside a loaded rung."""
    subjects = []

    def call(function, texts=TEXTS, seed=0, **settings):
        subject = Subject(spec, {"model": tiny, "device": "cpu", "threads": 1, **settings})
        subjects.append(subject)
        workload = Workload(tuple(map(Text, texts)), seed=seed)
        requests = [subject.plan(item, workload).pieces[0].request for item in workload.texts]
        return subject.load().apply(function, requests)

    yield call
    for subject in subjects:
        subject.ladder.unload()


def decoded(engine, context, requests):
    """The tokens of each request, one after the other."""
    return [[token for block in engine.decode(context, request) for token in block.tokens] for request in requests]


def test_a_named_float32_is_float32_to_the_bit(make, monkeypatch):
    """On a CPU whose int8 rung would come first by itself, and without naming anything else."""
    monkeypatch.setattr("realtts.accel.decoder.rungs.cpu_features", lambda: frozenset({"avx512_vnni", "avx512_bf16"}))
    named, exact = make(dtype="float32"), make(**EXACT)
    for text in (*TEXTS, "Five."):
        expected = exact.generate(text, seed=1).samples
        assert np.array_equal(named.generate(text, seed=1).samples, expected)
    details = named.get_provider_status()["optimization_details"]
    assert (details["quantization"], details["dtype"], details["kv_dtype"]) == ("none", "float32", "float32")


class TestConformance(ContinuousConformance, OptimizedConformance, ProviderConformance):
    """In float32, where a batch equals its texts alone."""

    # it moves no weights, has no choice of kernels, does not count its codec's work, keeps a loop for each batch size
    test_a_batch_leaves_no_cache_behind = None
    test_offloading_sounds_the_same = test_offloading_on_a_gpu = test_every_stage_has_a_floor = None
    test_the_status_names_the_kernel_of_attention = test_a_strict_provider_takes_no_other_kernel = None

    full = frozenset({
        "test_eight_threads",  # by default: test_every_request_is_what_it_is_alone, from sixteen
        "test_graphs_sound_the_same",  # by default: test_graphs_say_what_eager_steps_say
        "test_unload_frees_everything",  # by default: test_requests_leave_nothing_behind
    })  # fmt: skip

    @pytest.fixture
    def spec(self):
        """The provider."""
        return spec

    @pytest.fixture
    def model(self, tiny):
        """Its weights."""
        return tiny

    @pytest.fixture
    def settings(self):
        """One thread, because the model is smaller than what it costs to share it."""
        return {**EXACT, "device": "cpu", "threads": 1}

    @pytest.fixture
    def long_text(self):
        """Six sentences that are soon spoken."""
        return " ".join(f"This is sentence {n}." for n in range(1, 7))

    @pytest.fixture
    def short_text(self):
        """Of a few steps: a token for each letter is drawn."""
        return "Hm, no."

    @pytest.fixture
    def row_text(self):
        """Of some more."""
        return "Hello there, once more."


# -- the model ------------------------------------------------------------------------------------------------------


def test_the_codec_streams():
    """Any cut gives the sound of the whole, without a jump at the seams."""
    tokens = list(range(0, 256, 5))
    whole = Codec().decode(tokens)
    codec = Codec()
    pieces = [codec.decode(tokens[:1]), codec.decode([]), codec.decode(tokens[1:20]), codec.decode(tokens[20:])]
    assert len(whole) == len(tokens) * SAMPLES_PER_TOKEN
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-6
    assert np.abs(np.diff(whole)).max() < 0.3 * 2 * np.pi * 900 / 24_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("model.norm.weight"), "1 tensors are missing, the first is model.norm.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 tensors are unexpected, the first is extra"),
        (lambda state: state.update({"lm_head.bias": torch.zeros(3)}), r"lm_head.bias has the shape \(3,\)"),
    ],
    ids=["missing", "unexpected", "misshapen"],
)
def test_another_models_tensors(make, tiny, tmp_path, change, message):
    """A typed error that names the tensor, and no rung is given up for it."""
    state = safetensors_torch.load_file(f"{tiny}/model.safetensors")
    change(state)
    shutil.copy(f"{tiny}/config.json", tmp_path)
    safetensors_torch.save_file(state, tmp_path / "model.safetensors")
    provider = make(model=str(tmp_path))
    with pytest.raises(errors.CheckpointMismatch, match=message):
        provider.load()
    assert provider.get_provider_status()["attempts"] == []


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("config.json", b"{", errors.CheckpointCorrupt),
        ("config.json", b'{"model_type": "qwen3"}', errors.CheckpointMismatch),
        ("model.safetensors", b"no tensors", errors.CheckpointCorrupt),
        ("model.safetensors", None, errors.CheckpointMissing),
    ],
    ids=["no JSON", "no shape", "no tensors", "no file"],
)
def test_files_that_cannot_be_read(make, tmp_path, name, content, error):
    """Each with its own error."""
    tools.write_random_checkpoint(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        make(model=str(tmp_path)).load()


def test_no_weights_are_named(make):
    """Without a folder nothing can be loaded, and the error says what to give."""
    with pytest.raises(errors.CheckpointMissing, match="give model="):
        make(model=None).load()


def test_the_spec_is_light():
    """Listing the provider imports no torch."""
    code = "import sys, realtts_toylm; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- parity ---------------------------------------------------------------------------------------------------------


def test_tokens_of_both_variants_are_equal(make):
    """In float32: whatever the sampling, the text and the seed."""
    plain, fast = make(optimize=False), make(**EXACT)
    sampling = [{}, {"temperature": 1.5, "top_k": 0}, {"top_k": 1}]
    for (seed, text), options in itertools.product(enumerate(TEXTS), sampling):
        expected = plain.generate(text, seed=seed, **options)
        found = fast.generate(text, seed=seed, **options)
        assert found.metrics.tokens == expected.metrics.tokens
        assert np.array_equal(found.samples, expected.samples)


@pytest.mark.full  # by default: test_batch_equals_single
@pytest.mark.parametrize("rows", [3, 8])
def test_a_batch_is_its_texts(make, rows):
    """In float32: other lengths beside a text, before and behind, change nothing of it."""
    provider = make(**EXACT)
    texts = (TEXTS * 2)[:rows]
    for seed in range(2):
        together = provider.generate_batch(texts, seed=seed)
        for text, speech in zip(texts, together, strict=True):
            alone = provider.generate(text, seed=seed)
            assert np.array_equal(speech.samples, alone.samples)
            assert speech.finish_reason == alone.finish_reason


@pytest.mark.parametrize(
    "precision", ["fp32", "int8", *(pytest.param(p, marks=pytest.mark.full) for p in ("bf16", "int4"))]
)
def test_a_stream_is_the_whole(inside, tiny, precision):
    """At every precision; and what is decoded step by step has the logits of what is read at once."""

    def check(context, model, requests):
        network = read_network(checkpoints.fetch(tiny, FILES), "cpu")
        engine = LoopEngine(network, precision)
        for request in requests:
            (tokens,) = decoded(engine, context, [request])
            assert decoded(engine, context, [request]) == [tokens]
            logits = engine.logits(request.text, tokens)
            assert logits.shape == (len(tokens), frontend.VOCABULARY)
            greedy = replace(request, options=spec_options(top_k=1))
            (best,) = decoded(engine, context, [greedy])
            # Steps and prompts may be multiplied by different kernels, which round int8 differently.
            logits = engine.logits(request.text, best)[:, : frontend.STOP]
            chosen = logits.gather(1, torch.tensor(best)[:, None])[:, 0]
            assert (logits.amax(-1) - chosen).max() < (1e-4 if precision == "fp32" else 0.2)

    inside(check, TEXTS if precision == "fp32" else TEXTS[:2])


def spec_options(**values):
    """The provider's options."""
    from realtts_toylm.options import ToyOptions

    return ToyOptions(**values)


def test_graphs_say_what_eager_steps_say(inside, tiny):
    """Captured once per bucket, replayed for other texts, seeds and options."""
    backend = RecordingGraphs()

    def check(context, model, requests):
        network = read_network(checkpoints.fetch(tiny, FILES), "cpu")
        eager, graphed = (LoopEngine(network, Precision("fp32", torch.float32), backend=b) for b in (None, backend))
        graphed.capture()
        graphed.warm_up()
        captured = backend.captures
        hot = [replace(request, seed=7, options=spec_options(temperature=2.0, top_k=5)) for request in requests]
        for request in (*requests, *hot):
            assert decoded(graphed, context, [request]) == decoded(eager, context, [request])
        assert backend.captures == captured

    inside(check, TEXTS[:3])


@pytest.mark.parametrize(
    ("requests", "fault"),
    [
        (20, "rows"),
        # By default: tests/core/test_mixed_load, and the conformance suite's rungs that fail.
        pytest.param(20, "rung", marks=pytest.mark.full),
        # Without a fault ContinuousConformance compares rows, and both of these do.
        *(pytest.param(200, fault, marks=pytest.mark.slow) for fault in ("none", "rows", "rung")),
    ],
)
def test_every_request_is_what_it_is_alone(tiny, requests, fault):
    """Whoever is there, whenever it joins and leaves; also while one row in twenty fails, or the rung does."""
    settings = {"model": tiny, "device": "cpu", "threads": 1, **EXACT}
    options = [{}, {"temperature": 1.5, "top_k": 0}, {"max_new_tokens": 5}, {"top_k": 1, "max_new_tokens": 40}]
    load = mixed_load(spec, settings, texts=TEXTS, options=options, requests=requests, fault=fault)
    assert load.most_rows == spec.batch_size


# -- the ladder -----------------------------------------------------------------------------------------------------


def test_rungs_name_their_precision(make):
    """So that verify can ask for one, and the status can tell."""
    provider = make()
    provider.load()
    details = provider.get_provider_status()["optimization_details"]
    assert (provider.get_provider_status()["rung"], details["quantization"], details["dtype"]) == (
        "int8", "int8", "float32",
    )  # fmt: skip
    assert details["kernel"]
    assert details["kv_dtype"] in {"float32", "bfloat16"}
    assert (details["attention"], details["cuda_graphs"]) == ("sdpa", False)


@pytest.mark.parametrize(
    ("settings", "rung"),
    [
        ({"quantization": "none", "dtype": "float32"}, "fp32"),
        ({"quantization": "none", "dtype": "bfloat16"}, "bf16"),
        ({"quantization": "int4"}, "int4"),
        ({"dtype": "float32"}, "fp32"),
        ({"dtype": "float32", "quantization": "int8"}, "int8"),
        ({"cuda_graphs": True}, "int8"),
    ],
    ids=str,
)
def test_settings_choose_the_rung(make, settings, rung):
    """What was asked for is tried first; graphs without CUDA are refused by the probe."""
    provider = make(**settings)
    assert provider.generate("Hello there.").duration > 0
    status = provider.get_provider_status()
    assert status["rung"] == rung
    assert [attempt["stage"] for attempt in status["attempts"]] == (["probe"] if "cuda_graphs" in settings else [])


@pytest.fixture
def no_int8(monkeypatch):
    """A build of torch without a kernel for int8 weights."""
    from realtts.accel.kernels import choice

    real = choice.kernels_for
    monkeypatch.setattr(choice, "kernels_for", lambda name, device: () if name == "int8" else real(name, device))


def test_missing_kernels_step_down(make, no_int8):
    """From int8 to bfloat16; the attempt says which setting spares it."""
    provider = make(dtype="bfloat16", quantization="int8")
    assert provider.generate("Hello there.").duration > 0
    status = provider.get_provider_status()
    assert status["rung"] == "bf16"
    (attempt,) = status["attempts"]
    assert (attempt["rung"], attempt["stage"]) == ("int8", "compile")
    assert attempt["exception"].endswith("QuantizationUnavailable")
    assert "REALTTS_QUANTIZATION=none" in attempt["remedy"]


def test_strict_does_not_step_down(make, no_int8):
    """The first failure is raised."""
    with pytest.raises(errors.StageFailed) as caught:
        make(strict=True).load()
    assert isinstance(caught.value.__cause__, errors.QuantizationUnavailable)


def test_logits_that_are_not_finite_step_down(make, tiny, tmp_path):
    """Found while generating; plain cannot draw from them either, and the error tells of both."""
    state = safetensors_torch.load_file(f"{tiny}/model.safetensors")
    state["text_embedding.weight"][ord("z")] = float("nan")
    shutil.copy(f"{tiny}/config.json", tmp_path)
    safetensors_torch.save_file(state, tmp_path / "model.safetensors")
    provider = make(model=str(tmp_path), **EXACT)
    assert provider.generate("Hello there.").duration > 0
    with pytest.raises(errors.LadderExhausted) as caught:
        provider.generate("Hello zebra.")
    first = caught.value.attempts[0]
    assert (first.rung, first.stage, first.exception) == ("fp32", "generate", "realtts.errors.NotFinite")


# -- limits, cancellation, memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "places"), [({}, 8), ({"max_batch": 3}, 3), ({"max_batch": 100}, 8)], ids=str)
def test_places_are_those_of_spec_and_setting(inside, settings, places):
    """The smaller of both."""
    inside(lambda _context, model, _requests: _assert_places(model, places), ["Hm."], **EXACT, **settings)


def _assert_places(model, places):
    assert model.engine.loop.places == places


def test_a_model_that_never_ends(make, tmp_path):
    """It is stopped at its cap, tried again with another seed, and reported; both variants agree."""
    tools.write_random_checkpoint(tmp_path, stop_bias=-100.0)
    for settings in ({"optimize": False}, EXACT):
        speech = make(model=str(tmp_path), **settings).generate("Hm.", seed=0)
        assert (speech.finish_reason, speech.metrics.tokens) == ("length", 50 + 4 * 3)
        assert any("length cap" in warning for warning in speech.warnings)


def test_a_model_that_ends_at_once(make, tmp_path):
    """Not before it has said something."""
    tools.write_random_checkpoint(tmp_path, stop_bias=100.0)
    for settings in ({"optimize": False}, EXACT):
        speech = make(model=str(tmp_path), **settings).generate("Hello there.", seed=0)
        assert (speech.finish_reason, speech.metrics.tokens) == ("stop", 1 + 12 // 2)


@pytest.mark.parametrize("settings", [{"optimize": False}, EXACT], ids=["plain", "optimized"])
def test_lengths_that_are_asked_for(make, settings):
    """A limit of the request, and a forced count."""
    speech = make(**settings).generate("Hello there.", max_new_tokens=5, seed=0)
    assert (speech.metrics.tokens, speech.finish_reason) == (5, "length")
    forced = make(**settings, force_tokens_per_char=2).generate("Hello there.")
    assert forced.metrics.tokens == 24


@pytest.mark.full  # by default: test_lengths_that_are_asked_for
def test_no_length_is_more_than_there_is_room_for(make):
    """A forced count ends where the cache does."""
    endless = make(**EXACT, force_tokens_per_char=1000).generate("Hm.")
    assert endless.metrics.tokens == frontend.MOST_TOKENS


def test_stages_are_timed(make):
    """With the work that they did: a step for every token but the first."""
    for settings in ({"optimize": False}, EXACT):
        metrics = make(**settings).generate("Hello there.", max_new_tokens=20, temperature=0.5, seed=1).metrics
        work = metrics.work
        assert set(work) == {"prefill", "decode", "codec"}
        assert metrics.tokens - 1 <= work["decode"].steps <= metrics.tokens + 7
        assert work["codec"].steps == metrics.tokens
        assert work["decode"].bytes > work["decode"].steps * 3 * 64 * (3 * 192 + 2 * 64) * 4
        assert work["decode"].flops > 0


@pytest.mark.parametrize(("rounds", "each"), [(1, 9), pytest.param(3, 15, marks=pytest.mark.full)])
def test_requests_leave_nothing_behind(make, rounds, each):
    """Requests of different lengths, alone, streamed and in batches: not one tensor more."""
    provider = make(**EXACT)

    def speak_some(first):
        for n in range(first, first + each, 3):
            text = "la " * (1 + 5 * n % 11)
            provider.generate(text, seed=n, top_k=n % 5 * 10)
            list(provider.stream(f"{text} la", seed=n))
            provider.generate_batch([text, "Hm."], seed=n)

    speak_some(0)
    before = live_tensors()
    for round_ in range(rounds):
        speak_some(each * (1 + round_))
    assert live_tensors() == before


# -- bench and verify ------------------------------------------------------------------------------------------------


@pytest.mark.full  # by default: test_verify_by_name
def test_everything_holds(tiny):
    """Tokens, logits at every precision, audio, streams, batches."""
    workload = Workload((Text("Hello there, this is a test."), Text("Hm, one more.")), tokens=60)
    found = run_verify(spec, workload, settings={"model": tiny, "device": "cpu", "threads": 1})
    checks = {check["name"]: check for check in found["checks"]}
    assert found["ok"]
    assert checks["tokens, float32"]["value"] == "equal"
    assert checks["batch against single"]["ok"]
    for name in ("float32", "bfloat16", "int8", "int4"):
        assert checks[f"teacher-forced, {name}"]["ok"] is True


def test_scores_are_those_of_the_draw(inside):
    """The largest probability over noise is the token that was drawn."""

    def check(context, model, requests):
        for request in requests:
            drawn = tools.tokens(context, model, request)
            for step in (0, 1, len(drawn) - 1):
                assert int(tools.scores(context, model, request, drawn, step).argmax()) == drawn[step]

    inside(check, optimize=False)


@pytest.fixture
def cli(monkeypatch, capsys):
    """Return a function that runs a command; the provider is installed by its own distribution."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("REALTTS_THREADS", "1")

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_verify_by_name(cli):
    """With random weights, and no check that is missed."""
    code, out, err = cli("verify", "toylm", "--random-weights", "tiny", "--tokens", "20", "--text", "Hello there.")
    assert code == 0, err
    assert "tokens, float32" in out
    assert "MISSED" not in out


def test_bench_by_name(cli):
    """Both variants decode the forced number of tokens, and the stages have floors."""
    code, out, err = cli(
        "bench", "toylm", "--random-weights", "tiny", "--tokens", "20", "--text", "Hello there.", "--repeats", "1",
        "--json",
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(out)
    assert record["warnings"] == []
    for variant in ("plain", "optimized"):
        measured = record["variants"][variant]
        assert measured["variant"] == variant
        assert [text["tokens"] for text in measured["texts"]] == [20]
        assert {"prefill", "decode", "codec"} <= measured["stages"].keys()
        assert measured["stages"]["decode"]["floor_s"] > 0


def test_random_weights_are_repeatable(tmp_path):
    """The same seed writes the same file, another one another; "full" has the full shape."""
    written = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        tools.write_random_checkpoint(folder, seed=seed)
        written.append((folder / "model.safetensors").read_bytes())
    assert written[0] == written[1] != written[2]
    config = json.loads((tmp_path / "0" / "config.json").read_text())
    assert empty_network(config).config.hidden_size == 64


def test_the_network_is_qwen3(tiny):
    """Its hidden states are those of transformers on the same tensors, with a cache that grows."""
    transformers = pytest.importorskip("transformers")
    network = read_network(checkpoints.fetch(tiny, FILES), "cpu")
    config = json.loads(Path(tiny, "config.json").read_text(encoding="utf-8"))
    theirs = transformers.Qwen3Model(transformers.Qwen3Config(**config)).eval()
    theirs.load_state_dict(network.model.state_dict())
    ids = [3, 250, 7, 7, 90, 12]
    with torch.inference_mode():
        expected = theirs(torch.tensor([ids])).last_hidden_state[0]
        past = []
        found = [network(network.embedded(part), past) for part in (ids[:4], ids[4:5], ids[5:])]
    assert torch.allclose(torch.cat(found), network.lm_head(expected), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_graphs_on_cuda(make):
    """Captured steps say what plain says on the same device; unloading gives the memory back, to the byte.

    That includes cuBLAS' workspaces, which go when no graph is left that was captured with them.
    """
    settings = {"device": "cuda", "tf32": False}
    plain = make(**settings, optimize=False)
    fast = make(**settings, **EXACT, cuda_graphs=True, strict=True)
    for seed, text in enumerate(TEXTS):
        assert np.array_equal(fast.generate(text, seed=seed).samples, plain.generate(text, seed=seed).samples)
    assert fast.get_provider_status()["rung"] == "fp32+cuda_graphs"
    plain.unload()
    fast.unload()
    before = torch.cuda.memory_allocated()
    fast.generate_batch(TEXTS)
    fast.unload()
    assert torch.cuda.memory_allocated() == before
