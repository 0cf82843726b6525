"""torch's global flags are set around a piece of work, alone in the process, and restored after it."""

import threading
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtts import Chunk, ProviderSpec, RealProvider, Settings, hookimpl  # noqa: E402
from realtts.accel.backends import FLAGS_LOCK, torch_flags  # noqa: E402


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
        (Settings(threads=1), "optimized", ("high", True, True, 1)),
        (Settings(threads=1, matmul_precision="medium"), "optimized", ("medium", True, True, 1)),
        (Settings(threads=1, cudnn_benchmark=False), "optimized", ("high", True, False, 1)),
        (Settings(threads=1, tf32=False), "optimized", ("highest", False, True, 1)),
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
