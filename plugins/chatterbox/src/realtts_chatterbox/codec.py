"""From speech tokens to samples: the flow and the vocoder, for whole requests, batches and streams."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from realtts.accel.precision import name_of
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

_SHORT = 8
"""Tokens of a warm-up."""

_GRAPHED_TOKENS = 240
"""Lengths up to this have their graphs after a warm-up, 9.6 s; by default the third piece of a stream is one of 225
tokens, 10 before and 5 behind them, and a fourth begins beyond 13 s."""


class Codec:
    """Flow in the context's type, vocoder in float32.

    Args:
        flow: Tensors below ``flow.``.
        vocoder: Tensors below ``mel2wav.``.
        device: Where they run.
        dtype: Of the flow's estimator.
        turbo: Whether the flow is Turbo's, and speech ends with silence.
        backend: Captures the flow's steps and the vocoder as graphs; None computes them eagerly.
        fused: Take torch's attention everywhere.

    Attributes:
        dtype: Of the flow's estimator.
        graphed: Whether there are graphs.
    """

    def __init__(
        self,
        flow: Mapping[str, Tensor],
        vocoder: Mapping[str, Tensor],
        *,
        device: str,
        dtype: torch.dtype,
        turbo: bool,
        backend: GraphBackend | None = None,
        fused: bool = False,
    ) -> None:
        self._device, self._turbo, self.dtype = torch.device(device), turbo, dtype
        self._dtype_name = name_of(dtype)
        self.flow = Flow.from_state_dict(
            flow, device=self._device, dtype=dtype, meanflow=turbo, backend=backend, fused=fused
        )
        self.vocoder = Vocoder.from_state_dict(vocoder, device=self._device, backend=backend)
        self.graphed = backend is not None

    def warm_up(self, context: Context, ask: Ask, voice: Conditionals) -> Iterator[Tensor]:
        """Speak something short; with graphs, capture those of all lengths that single requests and streams often have.

        Returns:
            Samples of each length that was spoken.

        Raises:
            realtts.contract.stages.Cancelled: Never.
        """
        for length in self._lengths(voice) if self.graphed else (_SHORT,):
            for _, samples in self.whole(context, [[0] * length], [ask], [voice], never):
                yield samples

    def _lengths(self, voice: Conditionals) -> list[int]:
        """Numbers of tokens that between them need every graph up to the most."""
        found: dict[tuple[int, int], int] = {}
        for length in range(1, _GRAPHED_TOKENS + 1):
            frames = FRAMES_PER_TOKEN * len(self._said([0] * length))
            found.setdefault((bucket(voice.mel.shape[1] + frames), bucket(frames + self.vocoder.slack)), length)
        return list(found.values())

    def whole(
        self,
        context: Context,
        tokens: Sequence[Sequence[int]],
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, Tensor]]:
        """Samples of requests whose tokens are all known, as they are ready: index and float32 (n,).

        Raises:
            realtts.contract.stages.Cancelled: All of them were cancelled.
        """
        # Of similar length and with the same number of steps: a batch is as slow as its longest.
        order = sorted((i for i in range(len(tokens)) if tokens[i]), key=lambda i: (asks[i].steps, len(tokens[i])))
        together = TOGETHER if self._device.type == "cpu" else len(order)
        for group in _groups(order, together, lambda i: asks[i].steps):
            steps = asks[group[0]].steps
            noises = [Noise(asks[i].seed) for i in group]
            said = [torch.tensor(self._said(tokens[i])) for i in group]
            pieces = [Piece(ids, voices[i], noise) for i, ids, noise in zip(group, said, noises, strict=True)]
            cost = {"flops": self.flow.flops(pieces, steps), "bytes": self.flow.bytes_read(steps)}
            with timing.timed(context, "flow", steps=steps, dtype=self._dtype_name, **cost):
                mels = self.flow.pieces(pieces, steps=steps, cancelled=cancelled)
            for index, mel, noise in zip(group, mels, noises, strict=True):
                cost = {"flops": self.vocoder.flops(mel.shape[1]), "bytes": self.vocoder.bytes_read}
                with timing.timed(context, "vocoder", steps=1, dtype="float32", **cost):
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
        """Samples of one request while its tokens are still drawn; ``turn`` is entered whenever some are computed."""

        @contextlib.contextmanager
        def timed(stage: str, steps: int) -> Iterator[Work]:
            dtype = self._dtype_name if stage == "flow" else "float32"
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
        """Tokens that follow the last one."""
        return SILENCE if self._turbo else ()

    def _said(self, tokens: Sequence[int]) -> list[int]:
        return [*tokens, *self.ending()]


def _groups(order: Sequence[int], most: int, kind: Callable[[int], int]) -> Iterator[list[int]]:
    """Stretches of the order of one kind, at most so long."""
    group: list[int] = []
    for index in order:
        if group and (len(group) == most or kind(group[0]) != kind(index)):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
