"""The optimized variant: networks of our own, chunks of a text in shared forwards, prepared recordings kept on disk.

Nothing of f5-tts is imported. Not run on a GPU yet: CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts import stages
from realtts.accel.compile import compiled
from realtts.accel.finite import check_finite
from realtts.accel.rungs import decoder_rungs, graphs_of, why_no_graphs
from realtts.accel.voice_cache import DiskVoiceCache
from realtts.events import Event
from realtts.hookspecs import hookimpl
from realtts_f5.frontend import prepare
from realtts_f5.graphs import Graphs
from realtts_f5.join import spoken
from realtts_f5.loading import fetch, read_model_state, read_vocoder_state
from realtts_f5.mel import log_mel
from realtts_f5.network import Network
from realtts_f5.noise import chunk_noise
from realtts_f5.reference import builtin_voices
from realtts_f5.schedule import times
from realtts_f5.solver import Cancelled, Item, solve
from realtts_f5.vocoder import Vocoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.context import Context, Rung
    from realtts.speech import Chunk, Request, VoiceInfo
    from realtts_f5.files import Files
    from realtts_f5.frontend import ChunkPlan, Plan
    from realtts_f5.text import Vocabulary

__all__ = ["Optimized", "OptimizedModel"]

_TOGETHER = {"cpu": 2, "cuda": 16, "mps": 4}
"""Chunks that share a forward. On the CPU frames of a second one fill the products' tiles, and more gain nothing."""


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        files: Of the checkpoint.
        vocabulary: Symbols to ids.
        voices: Prepared recordings, in memory and on disk.
        network: From noise to mel; None before `convert_precision` and after `unload`.
        vocoder: From mel to samples; None as `network`.
        graphs: Of the network's steps; None where they run eagerly.
    """

    files: Files
    vocabulary: Vocabulary
    voices: DiskVoiceCache
    network: Network | None = None
    vocoder: Vocoder | None = None
    graphs: Graphs | None = None


@dataclass(frozen=True)
class _Job:
    """A chunk of one of several requests."""

    row: int
    plan: Plan
    chunk: ChunkPlan

    @property
    def kind(self) -> tuple[bool, int, float, float | None]:
        """What chunks of one forward must have in common."""
        return self.plan.half, self.plan.steps, self.plan.guidance, self.plan.sway


class Optimized:
    """The hooks."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """The context's type, then float32, on CUDA with graphs first; nothing is quantized by itself."""
        asked = context.settings.quantization
        return [rung for rung in decoder_rungs(context) if asked != "auto" or rung.settings["quantization"] == "none"]

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Graphs need CUDA; long rows gain nothing by quantized weights, so there are none."""
        if context.settings.quantization != "none":
            return "F5-TTS is not quantized: leave quantization='auto' (REALTTS_QUANTIZATION=auto)"
        return why_no_graphs(context)

    @hookimpl
    def load(self, context: Context) -> OptimizedModel:
        """Read what is small; the weights are read when they are converted, so that they never lie in memory twice."""
        files = fetch(context.checkpoint, context.report)
        _, vocabulary = read_model_state(files)
        return OptimizedModel(files, vocabulary, DiskVoiceCache.of(context.settings, context.voice_cache))

    @hookimpl
    def convert_precision(self, context: Context, model: OptimizedModel) -> None:
        """Read the weights: blocks in the context's type; time, text, ends and vocoder in float32."""
        model.network = _network(context, model, getattr(torch, context.dtype))
        model.graphs = _graphs(context, model.network)
        state = read_vocoder_state(model.files)
        model.vocoder = Vocoder.from_state_dict(state, torch.device(context.device), "vocoder")
        details = {"attention": "sdpa" if _fused(context) else "own" if context.device == "cpu" else "sdpa"}
        context.report(Event("optimization.details", data={**details, "cuda_graphs": model.graphs is not None}))

    @hookimpl
    def warmup(self, context: Context, model: OptimizedModel) -> None:
        """Take one step of a second's length, and check that nothing is NaN."""
        assert model.network is not None
        assert model.vocoder is not None
        frames = 94
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(frames, 100, generator=generator)
        item = Item(mel=noise[:10], ids=torch.zeros(4, dtype=torch.int64), frames=frames, noise=noise)
        mel = solve(model.network, [item], times=times(1, None), guidance=2.0, graphs=model.graphs)[0]
        check_finite(mel, "f5")
        check_finite(model.vocoder.samples(mel), "f5")

    @hookimpl
    def generate(self, context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
        """Chunks of the text together where nobody listens yet, else one after the other."""
        if request.streaming:
            return _live(context, model, request)
        return (chunk for _, chunk in _whole(context, model, [request]))

    @hookimpl
    def generate_batch(
        self, context: Context, model: OptimizedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Chunks of all texts together."""
        return _whole(context, model, requests)

    @hookimpl
    def voices(self, context: Context, model: OptimizedModel) -> Sequence[VoiceInfo]:
        """The recordings that f5-tts brings, where it is installed."""
        return builtin_voices()

    @hookimpl
    def unload(self, context: Context, model: OptimizedModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        if model.graphs is not None:
            model.graphs.clear()
        model.network = model.vocoder = model.graphs = None


def mel(context: Context, model: OptimizedModel, request: Request) -> Tensor:
    """The mel spectrogram of a request's first chunk, the recording's part included, float32 (frames, 100)."""
    plan = _plan(context, model, request)
    return _mels(context, model, [_Job(0, plan, plan.chunks[0])], request.cancelled)[0]


def _plan(context: Context, model: OptimizedModel, request: Request) -> Plan:
    return prepare(context, model.vocabulary, request, cache=model.voices)


def _whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Requests spoken as wholes, each as soon as the last of its chunks is there."""
    plans = [_plan(context, model, request) for request in requests]
    sounds: list[dict[int, NDArray[np.float32]]] = [{} for _ in requests]
    for group in _groups(context, [_Job(row, plan, chunk) for row, plan in enumerate(plans) for chunk in plan.chunks]):
        wanted = [job for job in group if not requests[job.row].cancelled()]
        for job, sound in _sounds(context, model, wanted, _nobody_waits([requests[job.row] for job in wanted])):
            sounds[job.row][job.chunk.index] = sound
        for row in dict.fromkeys(job.row for job in wanted):
            if len(sounds[row]) == len(plans[row].chunks):
                for chunk in spoken(plans[row], _taken(sounds[row])):
                    yield row, chunk
                    if requests[row].cancelled():
                        break


def _nobody_waits(requests: Sequence[Request]) -> Callable[[], bool]:
    return lambda: all(request.cancelled() for request in requests)


def _taken(sounds: dict[int, NDArray[np.float32]]) -> Callable[[ChunkPlan], NDArray[np.float32]]:
    return lambda chunk: sounds.pop(chunk.index)


def _live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """One request, one chunk after the other; on a GPU, which is ahead of the listener, ever more at once."""
    plan = _plan(context, model, request)
    waiting = [_Job(0, plan, chunk) for chunk in plan.chunks]
    ready: dict[int, NDArray[np.float32]] = {}
    size = 1

    def sound(chunk: ChunkPlan) -> NDArray[np.float32]:
        nonlocal size
        if chunk.index not in ready:
            group, waiting[:] = waiting[:size], waiting[size:]
            found = _sounds(context, model, group, request.cancelled)
            ready.update((job.chunk.index, samples) for job, samples in found)
            size = min(2 * size, _together(context)) if context.device != "cpu" else 1
        if chunk.index not in ready:
            raise Cancelled
        return ready.pop(chunk.index)

    return spoken(plan, sound)


def _groups(context: Context, jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    """Chunks that share forwards: of one kind, of similar length, no more than pays."""
    order = sorted(jobs, key=lambda job: (str(job.kind), job.chunk.frames))
    group: list[_Job] = []
    for job in order:
        if group and (len(group) == _together(context) or group[0].kind != job.kind):
            yield group
            group = []
        group.append(job)
    if group:
        yield group


def _sounds(
    context: Context, model: OptimizedModel, jobs: Sequence[_Job], cancelled: Callable[[], bool]
) -> list[tuple[_Job, NDArray[np.float32]]]:
    """Samples of some chunks, float32 (n,) each, without the recording's part; none of them if nobody wants them."""
    assert model.vocoder is not None, "used after unload"
    try:
        mels = _mels(context, model, jobs, cancelled) if jobs else []
    except Cancelled:
        return []
    found = []
    for job, whole in zip(jobs, mels, strict=True):
        reference = job.plan.reference
        with stages.timed(context, "vocoder", steps=1, dtype="float32"):
            samples = model.vocoder.samples(whole[reference.hops :]) * reference.gain
            found.append((job, samples.cpu().numpy()))
    return found


def _mels(context: Context, model: OptimizedModel, jobs: Sequence[_Job], cancelled: Callable[[], bool]) -> list[Tensor]:
    """Mel spectrograms of chunks of one kind, on the device, float32 (frames, 100) each."""
    plan = jobs[0].plan
    network = _network_for(context, model, plan)
    distinct = {job.row: job.plan.reference.samples for job in jobs}
    recordings = {row: log_mel(torch.from_numpy(samples).to(context.device)) for row, samples in distinct.items()}
    items = [_item(job, recordings[job.row]) for job in jobs]
    rows = 2 if plan.guidance else 1
    with stages.timed(context, "flow", dtype=str(network.dtype).removeprefix("torch.")) as work:
        schedule = times(plan.steps, plan.sway)
        found = solve(network, items, times=schedule, guidance=plan.guidance, cancelled=cancelled, graphs=model.graphs)
        work.add(steps=plan.steps, flops=plan.steps * sum(network.flops(item.frames, rows) for item in items))
    for one in found:
        check_finite(one, "f5")
    return found


def _item(job: _Job, recording: Tensor) -> Item:
    plan, chunk = job.plan, job.chunk
    return Item(
        mel=recording,
        ids=torch.tensor(chunk.ids, dtype=torch.int64),
        frames=chunk.frames,
        noise=chunk_noise(plan.seed, chunk.index, chunk.frames),
    )


def _network_for(context: Context, model: OptimizedModel, plan: Plan) -> Network:
    """The network, read anew if the request wants float32 and it is not, or the other way round."""
    assert model.network is not None, "used after unload"
    dtype: torch.dtype = getattr(torch, context.dtype) if plan.half else torch.float32
    if model.network.dtype != dtype:
        model.network = model.graphs = None  # never two of them in memory
        model.network = _network(context, model, dtype)
        model.graphs = _graphs(context, model.network)
    return model.network


def _network(context: Context, model: OptimizedModel, dtype: torch.dtype) -> Network:
    state, _ = read_model_state(model.files)
    wanted = context.settings.compile is True
    return Network.from_state_dict(
        model.files.architecture,
        state,
        device=torch.device(context.device),
        dtype=dtype,
        fused=_fused(context),
        compiler=functools.partial(compiled, mode="default", fallback=True) if wanted else None,
        who=f"file {model.files.weights.name!r}",
    )


def _graphs(context: Context, network: Network) -> Graphs | None:
    backend = graphs_of(context)
    return None if backend is None else Graphs(network, backend=backend)


def _fused(context: Context) -> bool:
    return context.settings.attention != "auto"


def _together(context: Context) -> int:
    return _TOGETHER.get(context.device.partition(":")[0], 1)
