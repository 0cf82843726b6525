"""From speech tokens to samples: the flow and the vocoder, for whole requests and streams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.fused import why_not
from realtts.accel.precision import name_of
from realtts.accel.weights.tensorfile import Tensors
from realtts.contract import timing
from realtts.contract.stages import never
from realtts_chatterbox.constants import FRAMES_PER_TOKEN
from realtts_chatterbox.flow import Flow, Piece, finished
from realtts_chatterbox.layout import bucket
from realtts_chatterbox.noise import Noise
from realtts_chatterbox.streaming import MelStream, SampleStream, SpeechStream, timed_units
from realtts_chatterbox.utterance import SILENCE
from realtts_chatterbox.vocoder import Vocoder, faded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.streaming import Timed

__all__ = ["Codec"]

_TOGETHER = 8
"""Most requests in one graph of the solver."""

_GRAPHED_TOKENS = 750
"""Lengths up to this have their graphs after `Codec.capture`, 30 s: the longest text at once, of 300 characters, spoken
slowly. Longer speech, and several requests at once, are work enough for a GPU without graphs."""

_LONGEST_VOICE = 500
"""Frames of the longest voice's prompt, 10 s, which stands before the speech in the flow; shorter ones are met, too."""


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
        attention: Of the flow's estimator, as `convert` was given it.
    """

    def __init__(self, state: Mapping[str, Tensor], *, device: str, turbo: bool, fused: bool = False) -> None:
        self._device, self._turbo = torch.device(device), turbo
        self.flow = Flow(Tensors(state, "flow."), self._device, meanflow=turbo, fused=fused)
        self.vocoder = Vocoder(Tensors(state, "mel2wav."), self._device)
        self.graphed = False
        self.attention: str | None = None

    def convert(
        self, state: Mapping[str, Tensor], dtype: torch.dtype, *, attention: str | None = None, rounded: bool = False
    ) -> None:
        """Read the flow's estimator and cast it; the state as of the constructor, all else as of `Flow.convert`."""
        self.flow.convert(Tensors(state, "flow."), dtype, attention=attention, rounded=rounded)
        self.attention = attention

    @property
    def precision(self) -> str:
        """What the flow's estimator multiplies in: a type's name, or ``"int8"``; known after `convert`."""
        estimator = self.flow.estimator
        return "int8" if estimator.rounded else name_of(estimator.dtype)

    def join(self) -> None:
        """Run what is between the products of the flow's estimator by `realtts.accel.fused`, where that works."""
        estimator = self.flow.estimator
        if not estimator.rounded and why_not(estimator.device, estimator.dtype) is None:
            estimator.join()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the activations in the flow's estimator; known after `convert`."""
        return self.flow.estimator.dtype

    def capture(self, context: Context, backend: GraphBackend, ask: Ask, voice: Conditionals) -> Iterator[Tensor]:
        """Run as graphs from now on: capture those of all lengths that single requests and streams have, and no others.

        Args:
            context: Of the stage.
            backend: Captures the flow's steps and the vocoder's convolutions.
            ask: Whose solver steps are taken; their number is no part of a graph.
            voice: Whose prompt stands before the speech; it is repeated and cut to all lengths that a prompt may have.

        Returns:
            Samples of each length, as their graphs have computed them. A graph is captured when its samples are asked
            for.
        """
        self.flow.use_graphs(backend)
        self.vocoder.use_graphs(backend)
        self.graphed = True
        for length, prompt in self._lengths(voice):
            yield from self.spoken(context, [0] * length, ask, prompt)
        self.flow.seal()
        self.vocoder.seal()

    def spoken(self, context: Context, tokens: Sequence[int], ask: Ask, voice: Conditionals) -> Iterator[Tensor]:
        """Speak given tokens, without a request: for warming up. At most one item, float32 (n,)."""
        if tokens:
            noise = Noise(ask.seed, self._device)
            (mel,) = finished(self.mels(context, [self.piece(tokens, voice, noise)], ask.steps))
            yield self.samples(context, mel, noise)

    def _lengths(self, voice: Conditionals) -> list[tuple[int, Conditionals]]:
        """Return numbers of tokens, and voices before them, that together need every graph up to the longest."""
        by_buckets: dict[tuple[int, int], tuple[int, Conditionals]] = {}
        prompt, frames = voice.mel.shape[1], [0]
        for length in range(1, _GRAPHED_TOKENS + 1):
            frames.append(FRAMES_PER_TOKEN * len(self._with_ending([0] * length)))
            buckets = bucket(prompt + frames[-1]), bucket(frames[-1] + self.vocoder.slack)
            by_buckets.setdefault(buckets, (length, voice))
        longest = max(prompt, _LONGEST_VOICE) + frames[-1]
        missing = {bucket(n) for n in range(longest + 1)} - {of_flow for of_flow, _ in by_buckets}
        others = [(1, _lasting(voice, (of_flow - frames[1]) // FRAMES_PER_TOKEN)) for of_flow in sorted(missing)]
        return [*by_buckets.values(), *others]

    @property
    def together(self) -> int:
        """Most whole requests whose flow is solved at once: one on the CPU, where more gain nothing."""
        return 1 if self._device.type == "cpu" else _TOGETHER

    def piece(self, tokens: Sequence[int], voice: Conditionals, noise: Noise) -> Piece:
        """Return a request whose tokens are all known as the flow takes it."""
        return Piece(torch.tensor(self._with_ending(tokens)), voice, noise)

    def mels(
        self,
        context: Context,
        pieces: Sequence[Piece],
        steps: int,
        *,
        rows: Sequence[int] | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Generator[None, None, list[Tensor]]:
        """Compute the mels of pieces; yield between two steps of the solver, where others may compute.

        Args:
            context: Of the hook.
            pieces: The pieces.
            steps: Of the solver.
            rows: Numbers of the rows that they belong to, for the metrics; None: all that are spoken.
            cancelled: Asked before each step.

        Returns:
            float32 (80, 2 n) each.

        Raises:
            realtts.contract.stages.Cancelled: If ``cancelled`` says so.
        """
        cost = {"flops": self.flow.flops(pieces, steps), "bytes": self.flow.bytes_read(steps)}
        work = self.flow.solving(pieces, steps=steps, cancelled=cancelled)
        return (yield from timed_units(work, self._timed(context, rows), steps, cost))

    def samples(self, context: Context, mel: Tensor, noise: Noise, *, rows: Sequence[int] | None = None) -> Tensor:
        """Compute the samples of a whole request, float32 (n,); arguments as of `mels`."""
        with self._timed(context, rows)("vocoder", 1) as work:
            work.add(flops=self.vocoder.flops(mel.shape[1]), bytes=self.vocoder.bytes_read)
            return faded(self.vocoder.samples(mel, noise))

    def stream(
        self,
        context: Context,
        ask: Ask,
        voice: Conditionals,
        cancelled: Callable[[], bool],
        *,
        rows: Sequence[int] | None = None,
    ) -> SpeechStream:
        """Return the stream of one request whose tokens are still drawn.

        Args:
            context: Of the stage.
            ask: The request.
            voice: Who speaks.
            cancelled: Called before each step.
            rows: As of `mels`.
        """
        timed, noise = self._timed(context, rows), Noise(ask.seed, self._device)
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

    def _timed(self, context: Context, rows: Sequence[int] | None) -> Timed:
        def timed(stage: str, steps: int) -> AbstractContextManager[Work]:
            dtype = self.precision if stage == "flow" else "float32"
            return timing.timed(context, stage, steps=steps, dtype=dtype, rows=rows)

        return timed

    def ending(self) -> tuple[int, ...]:
        """Return the tokens that are appended to every request's."""
        return SILENCE if self._turbo else ()

    def _with_ending(self, tokens: Sequence[int]) -> list[int]:
        return [*tokens, *self.ending()]


def _lasting(voice: Conditionals, tokens: int) -> Conditionals:
    """Return a voice whose prompt has so many tokens, cut or repeated."""
    of_tokens = torch.arange(tokens) % voice.tokens.shape[1]
    of_frames = torch.arange(FRAMES_PER_TOKEN * tokens) % voice.mel.shape[1]
    return replace(voice, tokens=voice.tokens[:, of_tokens], mel=voice.mel[:, of_frames])
