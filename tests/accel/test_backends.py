"""torch's global flags are set around a piece of work, alone in the process, and restored after it."""

import contextlib
import threading
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtts import Chunk, ProviderSpec, RealProvider, Settings, hookimpl  # noqa: E402
from realtts.accel.backends import FLAGS_LOCK, cudnn_search, torch_flags  # noqa: E402
from realtts.accel.graphs.cuda_graph import GraphRunner  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402


def flags():
    """The flags in force."""
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.get_num_threads(),
    )


@pytest.mark.parametrize(
    ("settings", "variant", "expected"),
    [
        (Settings(threads=1), "optimized", ("high", True, False, 1)),
        (Settings(threads=1, matmul_precision="medium"), "optimized", ("medium", True, False, 1)),
        (Settings(threads=1, cudnn_benchmark=False), "optimized", ("high", True, False, 1)),
        (Settings(threads=1, tf32=False), "optimized", ("highest", False, False, 1)),
        (Settings(threads=1), "plain", ("highest", False, False, 1)),
    ],
    ids=["default", "precision", "no benchmark", "no tf32", "plain"],
)
def test_flags_follow_the_settings_and_come_back(settings, variant, expected):
    """Also when the work fails."""
    before = flags()
    with torch_flags(settings, variant):
        assert flags() == expected
    assert flags() == before
    with pytest.raises(ZeroDivisionError), torch_flags(settings, variant):
        _ = 1 / 0
    assert flags() == before


@pytest.mark.parametrize(
    ("settings", "variant", "searches"),
    [
        (Settings(), "optimized", True),
        (Settings(cudnn_benchmark=False), "optimized", False),
        (Settings(), "plain", False),
        (Settings(cudnn_benchmark=False), "plain", False),
        (None, None, False),
    ],
    ids=["default", "switched off", "plain", "plain, off", "no flags"],
)
def test_cudnn_searches_where_shapes_stay(settings, variant, searches):
    """In a capture alone: elsewhere each new length would be timed, and another process might choose otherwise."""
    scope = contextlib.nullcontext() if settings is None else torch_flags(settings, variant)
    seen = []
    with scope:
        before = torch.backends.cudnn.benchmark
        GraphRunner(backend=RecordingGraphs()).run("key", lambda: seen.append(torch.backends.cudnn.benchmark))
        with cudnn_search(), cudnn_search():
            seen.append(torch.backends.cudnn.benchmark)
        with pytest.raises(ZeroDivisionError), cudnn_search():
            _ = 1 / 0
        assert torch.backends.cudnn.benchmark is before is False
    assert seen == [searches] * 4  # two warm-ups, the capture, and the search by itself


@pytest.mark.parametrize(
    ("attention", "variant", "allowed"),
    [
        ("auto", "optimized", False), ("flash", "optimized", False), ("math", "optimized", False),
        ("sdpa", "optimized", True), ("auto", "plain", True), ("math", "plain", True),
    ],
)  # fmt: skip
def test_attention_by_cudnn_is_not_taken(attention, variant, allowed):
    """It builds a plan for each new shape. Who asks for torch's own choice gets it, and plain is upstream's."""
    for before in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(before)
        with torch_flags(Settings(attention=attention), variant):
            assert torch.backends.cuda.cudnn_sdp_enabled() is (allowed and before)
        assert torch.backends.cuda.cudnn_sdp_enabled() is before
    torch.backends.cuda.enable_cudnn_sdp(True)


@pytest.mark.parametrize("device", ["cuda:1", "cuda:0", "cuda:3", "cpu", "mps"])
def test_a_cuda_device_is_the_current_one(monkeypatch, device):
    """So that streams and events that name no device are its own."""
    entered = []

    @contextlib.contextmanager
    def current(place):
        entered.append(place)
        yield
        entered.append("left")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", current)
    with torch_flags(Settings(), "optimized", device):
        assert entered == ([device] if device.startswith("cuda") else [])
    assert entered == ([device, "left"] if device.startswith("cuda") else [])


@pytest.mark.parametrize(
    ("attention", "variant", "allowed"),
    [
        ("math", "optimized", (False, False, True)),
        ("eager", "optimized", (False, False, True)),
        ("flash", "optimized", (True, True, True)),
        ("auto", "optimized", None),
        ("math", "plain", None),
    ],
)
def test_kernels_of_attention_follow_the_setting_and_come_back(attention, variant, allowed):
    """Those that torch may take; plain is left alone."""

    def kernels():
        cuda = torch.backends.cuda
        return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()

    before = kernels()
    with torch_flags(Settings(attention=attention), variant):
        assert kernels() == (allowed or before)
    assert kernels() == before


class Torch:
    """A provider that runs on torch."""

    seen: ClassVar[list] = []

    @hookimpl
    def load(self, context):
        """Load."""
        self.seen.append(("load", flags()))
        return torch.nn.Linear(2, 2)

    @hookimpl
    def generate(self, context, model, request):
        """More steps than a stream's reader is ever behind."""
        for _ in range(20):
            self.seen.append(("generate", flags()))
            yield Chunk(np.full(800, 0.1, np.float32), 8000)

    @hookimpl
    def unload(self, context, model):
        """Unload."""
        self.seen.append(("unload", flags()))


def test_provider_sees_its_flags_and_the_caller_does_not(monkeypatch):
    """The same from load to generate, never across a yield."""
    monkeypatch.setattr("realtts.testing.faults.TorchPlain", Torch, raising=False)
    Torch.seen.clear()
    spec = ProviderSpec(
        name="torchy", summary="On torch", sample_rates=(8000,), plain="realtts.testing.faults:TorchPlain", torch=True
    )
    before = flags()
    with RealProvider(spec, threads=1, stream_buffer=1) as tts:
        for _ in tts.stream("Hello"):
            # The provider's thread is ahead by a chunk or two. It frees the lock after each step; if it kept it until
            # the next one, it would now be waiting for us.
            assert FLAGS_LOCK.acquire(timeout=10)
            found = flags()
            FLAGS_LOCK.release()
            assert found == before
        status = tts.get_provider_status()
    assert status["versions"]["torch"] == torch.__version__
    assert {stage for stage, _ in Torch.seen} == {"load", "generate", "unload"}
    assert {seen for _, seen in Torch.seen} == {("highest", False, False, 1)}
    assert flags() == before


def test_two_providers_do_not_mix_their_flags():
    """One lock for the process: what one set is not seen by the other."""
    wrong = []

    def work(threads):
        for _ in range(50):
            with torch_flags(Settings(threads=threads), "optimized"):
                if torch.get_num_threads() != threads:
                    wrong.append(threads)

    workers = [threading.Thread(target=work, args=(threads,)) for threads in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
