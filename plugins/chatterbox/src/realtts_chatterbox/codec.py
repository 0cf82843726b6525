"""From speech tokens to samples: the flow and the vocoder, for whole requests, batches and streams."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from realtts.accel.precision import name_of
from realtts.accel.weights.tensorfile import Tensors
from realtts.contract import timing
from realtts.contract.stages import never
from realtts_chatterbox.constants import FRAMES_PER_TOKEN
from realtts_chatterbox.flow import Flow, Piece
from realtts_chatterbox.layout import bucket
from realtts_chatterbox.noise import Noise
from realtts_chatterbox.streaming import MelStream, SampleStream, SpeechStream
from realtts_chatterbox.utterance import SILENCE
from realtts_chatterbox.vocoder import Vocoder, faded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask

__all__ = ["TOGETHER", "Codec"]

TOGETHER = 2
"""Requests whose flow is solved at once on the CPU, where more gain nothing."""

_GRAPHED_TOKENS = 240
"""Lengths up to this have their graphs after `Codec.capture`, 9.6 s; by default the third piece of a stream is one of
225 tokens, 10 before and 5 behind them, and a fourth begins beyond 13 s."""


class Codec:
    """The flow, its estimator in the context's type, and the vocoder in float32.

    The constructor reads everything that is float32 whatever the rung, `convert` the estimator; then it can speak.

    Args:
        state: S3Gen's tensors by upstream's names. A mapping that reads a tensor when it is asked for keeps the peak
            low; it is not kept.
        device: Where to compute.
        turbo: Whether the flow is Turbo's, and speech ends with silence.
        fused: Use torch's fused attention everywhere.

    Attributes:
        flow: Tokens to mel.
        vocoder: Mel to samples.
        graphed: Whether flow and vocoder run as graphs.
    """

    def __init__(self, state: Mapping[str, Tensor], *, device: str, turbo: bool, fused: bool = False) -> None:
        self._device, self._turbo = torch.device(device), turbo
        self.flow = Flow(Tensors(state, "flow."), self._device, meanflow=turbo, fused=fused)
        self.vocoder = Vocoder(Tensors(state, "mel2wav."), self._device)
        self.graphed = False

    def convert(self, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        """Read the flow's estimator and cast it; the state as of the constructor."""
        self.flow.convert(Tensors(state, "flow."), dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the flow's estimator; known after `convert`."""
        return self.flow.estimator.dtype

    def capture(self, context: Context, backend: GraphBackend, ask: Ask, voice: Conditionals) -> Iterator[Tensor]:
        """Run as graphs from now on, and capture those of all lengths that single requests and streams often have.

        Args:
            context: Of the stage.
            backend: Captures the flow's steps and the vocoder's convolutions.
            ask: Whose solver steps are taken; their number is no part of a graph.
            voice: Whose prompt stands before the speech.

        Returns:
            Samples of each length, as their graphs have computed them. A graph is captured when its samples are asked
            for.
        """
        self.flow.use_graphs(backend)
        self.vocoder.use_graphs(backend)
        self.graphed = True
        for length in self._lengths(voice):
            yield from self.spoken(context, [0] * length, ask, voice)

    def spoken(self, context: Context, tokens: Sequence[int], ask: Ask, voice: Conditionals) -> Iterator[Tensor]:
        """Speak given tokens, without a request: for warming up. At most one item, float32 (n,)."""
        for _, samples in self.whole(context, [tokens], [ask], [voice], never):
            yield samples

    def _lengths(self, voice: Conditionals) -> list[int]:
        """Return numbers of tokens that together need every graph up to the longest."""
        by_buckets: dict[tuple[int, int], int] = {}
        for length in range(1, _GRAPHED_TOKENS + 1):
            frames = FRAMES_PER_TOKEN * len(self._with_ending([0] * length))
            buckets = bucket(voice.mel.shape[1] + frames), bucket(frames + self.vocoder.slack)
            by_buckets.setdefault(buckets, length)
        return list(by_buckets.values())

    def whole(
        self,
        context: Context,
        tokens: Sequence[Sequence[int]],
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, Tensor]]:
        """Speak requests whose tokens are all known; yield index and samples, float32 (n,), as they are ready.

        Raises:
            realtts.contract.stages.Cancelled: All of them were cancelled.
        """
        # Batches of similar length with the same number of steps: a batch is as slow as its longest.
        order = sorted((i for i in range(len(tokens)) if tokens[i]), key=lambda i: (asks[i].steps, len(tokens[i])))
        together = TOGETHER if self._device.type == "cpu" else len(order)
        for group in _groups(order, together, lambda i: asks[i].steps):
            steps = asks[group[0]].steps
            noises = [Noise(asks[i].seed) for i in group]
            ids = [torch.tensor(self._with_ending(tokens[i])) for i in group]
            pieces = [Piece(*parts) for parts in zip(ids, (voices[i] for i in group), noises, strict=True)]
            flops, read = self.flow.flops(pieces, steps), self.flow.bytes_read(steps)
            with timing.timed(context, "flow", steps=steps, dtype=name_of(self.dtype), flops=flops, bytes=read):
                mels = self.flow.pieces(pieces, steps=steps, cancelled=cancelled)
            for index, mel, noise in zip(group, mels, noises, strict=True):
                flops, read = self.vocoder.flops(mel.shape[1]), self.vocoder.bytes_read
                with timing.timed(context, "vocoder", steps=1, dtype="float32", flops=flops, bytes=read):
                    samples = faded(self.vocoder.samples(mel, noise))
                yield index, samples

    def stream(
        self,
        context: Context,
        ask: Ask,
        voice: Conditionals,
        cancelled: Callable[[], bool],
        turn: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> SpeechStream:
        """Return the stream of one request whose tokens are still drawn.

        Args:
            context: Of the stage.
            ask: The request.
            voice: Who speaks.
            cancelled: Called before each step.
            turn: Entered whenever flow or vocoder compute: their weights may have to come to the device.
        """

        @contextlib.contextmanager
        def timed(stage: str, steps: int) -> Iterator[Work]:
            dtype = name_of(self.dtype) if stage == "flow" else "float32"
            with timing.timed(context, stage, steps=steps, dtype=dtype) as work, turn():
                yield work

        noise = Noise(ask.seed)
        mel = MelStream(
            self.flow,
            voice,
            noise,
            chunk_tokens=ask.chunk_tokens,
            lookahead_tokens=ask.lookahead_tokens,
            steps=ask.steps,
            cancelled=cancelled,
            timed=timed,
        )
        return SpeechStream(mel, SampleStream(self.vocoder, noise, timed), cancelled)

    def ending(self) -> tuple[int, ...]:
        """Return the tokens that are appended to every request's."""
        return SILENCE if self._turbo else ()

    def _with_ending(self, tokens: Sequence[int]) -> list[int]:
        return [*tokens, *self.ending()]


def _groups(order: Sequence[int], most: int, kind: Callable[[int], int]) -> Iterator[list[int]]:
    """Cut the order into runs of one kind, each at most so long."""
    group: list[int] = []
    for index in order:
        if group and (len(group) == most or kind(group[0]) != kind(index)):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
