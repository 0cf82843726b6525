"""Conformance of an optimized variant on `realtts.accel`: what moves, what stays, what is told."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from realtts import errors
from realtts.bench.floor import floor_of
from realtts.machine.memory import trim
from realtts.registry.variants import import_object
from realtts.testing.conformance.fixtures import ConformanceFixtures
from realtts.testing.conformance.speaking import assert_same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.contract.spec import ProviderSpec
    from realtts.provider.facade import RealProvider
    from realtts.synthesis.speech import Speech

__all__ = ["OptimizedConformance"]

_RATES = {"bytes_per_s": 1e10, "flops_per_s": {"float32": 1e11}}
_NO_FLASH = "flash_attention_2: the package flash_attn needs a CUDA device"
_SAFE: tuple[dict[str, Any], ...] = (
    {"dtype": "float32"},
    {"dtype": "float32", "compile": False, "cuda_graphs": False, "cpu_offload": False},
    {"precision_policy": "exact"},
    {"dtype": "float32", "precision_policy": "fast"},
)
_REST_S = 0.2
"""How long the number of tensors has to stay: callers have their speech before the provider's thread lets go of it."""

_GREW = 1.05
"""Resident memory that a hundred requests may leave, over that before them."""


class _Speaker:
    """A provider and its ways to speak the suite's text."""

    def __init__(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        self.provider, self.text = provider, text
        self._options = {"seed": 5, **options}

    @property
    def status(self) -> dict[str, Any]:
        return self.provider.get_provider_status()

    def say(self, times: float = 1, **more: Any) -> Speech:
        """Speak the text, a part of it, or several times of it."""
        return self.provider.generate(self._part(times), **{**self._options, **more})

    def live(self, times: float = 1, **more: Any) -> list[NDArray[np.float32]]:
        """Return the chunks of a stream."""
        chunks = self.provider.stream(self._part(times), **{**self._options, **more})
        return [chunk.samples for chunk in chunks if len(chunk.samples)]

    def together(self, *times: float, **more: Any) -> list[Speech]:
        """Speak several texts in a batch."""
        return self.provider.generate_batch([self._part(each) for each in times], **{**self._options, **more})

    def everything(self, **more: Any) -> list[NDArray[np.float32]]:
        """Speak the whole, a stream, and two texts together."""
        batch = [speech.samples for speech in self.together(1, 0.5, **more)]
        return [self.say(**more).samples, np.concatenate(self.live(**more)), *batch]

    def _part(self, times: float) -> str:
        return self.text * int(times) if times >= 1 else self.text[: int(len(self.text) * times)]


class OptimizedConformance(ConformanceFixtures):
    """Tests of an optimized variant on torch, in float32 on the CPU; put it before `ProviderConformance` or a subclass.

    The fixture ``encoder`` may be overridden beside the suite's. What a provider does not have (offloading, graphs, a
    choice of kernels) is taken away by ``test_... = None`` in the subclass.
    """

    @pytest.fixture
    def encoder(self) -> str | None:
        """Return what reads a new recording, as ``"module.name"``, or None where nothing does."""
        return None

    @pytest.fixture
    def forced(
        self,
        spec: ProviderSpec,
        make: Callable[..., RealProvider],
        text: str,
        options: dict[str, Any],
        tmp_path: Path,
    ) -> Callable[..., _Speaker]:
        """Return a maker of strict providers with forced lengths and a cache of the test's own."""
        keywords = {"strict": True, "force_tokens_per_char": 1.0, "data_dir": str(tmp_path / "own")}
        return lambda **settings: _Speaker(make(spec, **{**keywords, **settings}), text, options)

    @pytest.fixture
    def fast(self, forced: Callable[..., _Speaker]) -> Callable[..., _Speaker]:
        """Return a maker of the same in float32."""
        return lambda **settings: forced(**{"dtype": "float32", "quantization": "none", "tf32": False, **settings})

    def test_safe_settings_give_float32_to_the_bit(
        self, fast: Callable[..., _Speaker], forced: Callable[..., _Speaker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each documented way to ask for it, on a CPU where quantized weights or half precision would come first."""
        features = frozenset({"avx512_vnni", "amx_int8", "avx512_bf16", "amx_bf16"})
        for place in ("realtts.machine.hardware", "realtts.accel.decoder.rungs"):
            monkeypatch.setattr(f"{place}.cpu_features", lambda: features)
        expected = fast().say()
        for settings in _SAFE:
            speaker = forced(**settings)
            np.testing.assert_array_equal(speaker.say().samples, expected.samples, str(settings))
            details = speaker.status["optimization_details"]
            assert (details["dtype"], details["quantization"]) == ("float32", "none"), settings
            assert details.get("kv_dtype", "float32") == "float32", settings

    def test_graphs_sound_the_same(
        self, fast: Callable[..., _Speaker], tolerance: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is recorded once and replayed; for requests of the same lengths nothing is recorded again."""
        from realtts.testing.recording import RecordingGraphs

        backend, still = RecordingGraphs(), fast()
        expected = still.everything()
        _everywhere(monkeypatch, still.provider.spec, "graphs_of", backend)
        moving = fast()
        for samples, eager in zip(moving.everything(), expected, strict=True):
            assert_same(samples, eager, tolerance)
        captures = backend.captures
        assert captures > 0
        moving.everything(seed=6)
        assert backend.captures == captures
        assert moving.status["attempts"] == []

    def test_offloading_sounds_the_same(
        self, fast: Callable[..., _Speaker], tolerance: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Never does all lie on the device, and in the end nothing; parts go there once for each chunk at most."""
        from realtts.testing.device import HostDevice

        device, still = HostDevice(), fast()
        turns, expected = device.turns(), still.everything()
        _everywhere(monkeypatch, still.provider.spec, "device_sharing", turns)
        moving = fast(cpu_offload=True, voice_cache_disk_mb=0)
        for samples, unmoved in zip(moving.everything(), expected, strict=True):
            assert_same(samples, unmoved, tolerance)
        copies, chunks = device.copies, len(moving.live())
        assert 0 < device.copies - copies <= (1 + chunks) * device.known
        assert 0 < device.most < device.known_nbytes
        details = moving.status["optimization_details"]
        assert details["cuda_graphs"] is False
        assert "cpu_offload" in details["no_cuda_graphs"]
        moving.provider.unload()
        turns.clear()
        assert device.tensors == 0

    @pytest.mark.parametrize(
        ("attention", "reason"), [("sdpa", None), ("math", None), ("flash_attention_2", _NO_FLASH)]
    )
    def test_the_status_names_the_kernel_of_attention(
        self, fast: Callable[..., _Speaker], attention: str, reason: str | None
    ) -> None:
        """The one that runs, and why it is not the one that was asked for; the sound is the same."""
        expected, other = fast().say(), fast(attention=attention, strict=False)
        assert_same(other.say().samples, expected.samples, 1e-3)
        details = other.status["optimization_details"]
        assert (details["attention"] == attention) is (reason is None)
        assert details.get("no_attention", "none").startswith(reason or "none")

    def test_a_strict_provider_takes_no_other_kernel(self, fast: Callable[..., _Speaker]) -> None:
        """Than the one that was asked for."""
        with pytest.raises(errors.RealTTSError, match="flash_attn needs a CUDA"):
            fast(attention="flash_attention_2").say()

    def test_every_stage_has_a_floor(self, fast: Callable[..., _Speaker]) -> None:
        """For `realtts bench`: longer speech has a higher one, in a batch too."""
        speaker = fast()
        short, long = (speaker.say(times).metrics.work for times in (1, 4))
        for name, work in long.items():
            assert 0 < (floor_of(short[name], _RATES) or 0) < (floor_of(work, _RATES) or 0), name
            assert not work.flops or short[name].flops < work.flops, name
        for speech in speaker.together(1, 2):
            assert all(floor_of(work, _RATES) for work in speech.metrics.work.values())

    def test_a_voice_is_computed_once_for_every_process(
        self,
        fast: Callable[..., _Speaker],
        reference: tuple[NDArray[np.float32], int],
        encoder: str | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The second provider finds it on disk, and reads no encoder."""
        first = fast()
        if "clone" not in first.provider.spec.capabilities:
            pytest.skip("the provider does not clone")
        words = None if first.provider.spec.reference_text == "unused" else "These are the words."
        arguments: dict[str, Any] = {"voice": reference, "reference_text": words}
        expected = first.say(**arguments)
        if encoder is not None:
            monkeypatch.setattr(encoder, lambda *_, **__: pytest.fail("the recording was read again"))
        again = fast()
        assert_same(again.say(**arguments).samples, expected.samples, 0.0)
        assert again.status["cache"]["disk_hits"] > 0

    def test_a_batch_leaves_no_cache_behind(self, fast: Callable[..., _Speaker]) -> None:
        """What several rows need is let go of."""
        speaker = fast()
        speaker.say()
        before = _live_tensors_at_rest()
        speaker.together(0.5, 1, 0.3)
        after = _live_tensors_at_rest()
        assert all(now <= then for now, then in zip(after, before, strict=True)), f"{before} became {after}"

    def test_unload_frees_everything(self, fast: Callable[..., _Speaker]) -> None:
        """No tensor of the provider outlives it, and a hundred requests leave neither tensors nor memory behind."""
        from realtts.testing.device import live_tensors

        speaker = fast()

        def speak(seeds: range) -> None:
            for seed in seeds:
                speaker.say((1 + seed % 4) / 4, seed=seed)
                speaker.live(0.5, seed=seed)

        speak(range(4))
        speaker.provider.unload()
        unloaded = live_tensors()
        speak(range(8))
        loaded, resident = _live_tensors_at_rest(), _resident()
        speak(range(8, 58))
        assert _live_tensors_at_rest() == loaded
        assert _resident() < _GREW * resident
        speaker.provider.unload()
        assert live_tensors() == unloaded

    def test_graphs_on_a_gpu(self, fast: Callable[..., _Speaker]) -> None:
        """The sound of eager steps, whole, streamed and together."""
        _need_cuda()
        still, moving = fast(device="cuda", cuda_graphs=False), fast(device="cuda", cuda_graphs=True)
        for samples, eager in zip(moving.everything(), still.everything(), strict=True):
            assert_same(samples, eager, 1e-4)

    def test_offloading_on_a_gpu(self, fast: Callable[..., _Speaker]) -> None:
        """After a request one part lies there alone; the sound is that of weights that stay."""
        torch = _need_cuda()
        still = fast(device="cuda", cuda_graphs=False)
        expected, whole = still.say(), torch.cuda.memory_allocated()
        still.provider.close()
        speech = fast(device="cuda", cpu_offload=True).say()
        assert torch.cuda.memory_allocated() < whole
        assert_same(speech.samples, expected.samples, 1e-4)


def _need_cuda() -> Any:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    return torch


def _everywhere(monkeypatch: pytest.MonkeyPatch, spec: ProviderSpec, name: str, value: object) -> None:
    """Replace a function of `realtts.accel` by a constant in every module of the plugin that imported it."""
    assert spec.optimized is not None
    import_object(spec.optimized)
    package = spec.optimized.partition(":")[0].rpartition(".")[0] + "."
    modules = [module for path, module in sys.modules.items() if path.startswith(package) and hasattr(module, name)]
    assert modules, f"no module of {package} uses {name}"
    for module in modules:
        monkeypatch.setattr(module, name, lambda _: value)


def _resident() -> int:
    """Return the resident bytes of the process, without what the heap has free and would give back."""
    trim()
    return int(psutil.Process().memory_info().rss)


def _live_tensors_at_rest() -> tuple[int, int]:
    """Return number and bytes of all live tensors, once they do not change any more."""
    from realtts.testing.device import live_tensors

    counted = live_tensors()
    while True:
        time.sleep(_REST_S)
        if (again := live_tensors()) == counted:
            return counted
        counted = again
