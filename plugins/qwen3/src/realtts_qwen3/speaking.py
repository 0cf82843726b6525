"""A request of the optimized variant in a running batch: its frames come in, its chunks go out.

Whole speech that repeats itself, is silent, runs into its cap or ends too early is drawn again once, behind the prompt
that was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.types import Chunk
from realtts.kit.retries import retry_seed, retry_warning, wrong_length
from realtts_qwen3.codec_rows import CodecRow, growing_sizes
from realtts_qwen3.constants import FRAMES_PER_SECOND, RATE
from realtts_qwen3.frames import frames_of
from realtts_qwen3.model import asked
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.runaway import RunawayDetector
from realtts_qwen3.voices import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from realtts.accel.decoder import Drawing, RowBlock, ServedRow
    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason
    from realtts_qwen3.codec import CodecState
    from realtts_qwen3.model import OptimizedModel

    Decode = Callable[["RowSpeaker"], None]

__all__ = ["RowSpeaker", "Speech"]

_WHOLE = 16
"""Frames that are decoded at once for whole speech: more would hardly be faster, and silence would be seen later."""

_WHOLE_OFFLOADED = 250
"""The same with offloading, where talker and codec must change places for each window."""


class RowSpeaker:
    """A request that has joined a running batch: it is prepared first, then it speaks.

    Args:
        context: Of the hook.
        model: Draws and decodes.
        row: The request.
        decode: Decodes the window of one that is due, and those of others with it.

    Attributes:
        row: As given.
        speech: Its speech, once it is prepared.
    """

    def __init__(self, context: Context, model: OptimizedModel, row: ServedRow, decode: Decode) -> None:
        self.row, self._context, self._model, self._decode = row, context, model, decode
        self.speech: Speech | None = None

    @property
    def is_due(self) -> bool:
        """Whether its window is to be decoded."""
        return self.speech is not None and self.speech.codec.is_due and not self.row.request.cancelled()

    def speak(self) -> Iterator[Chunk | None]:
        """Yield what can be heard of the frames so far."""
        if self.speech is None:
            # Here, and not as it joins: with offloading the encoders of a voice need the talker's place on the device.
            self.speech = Speech(self._context, self._model, self.row)
            return
        while self.speech.codec.is_due or self.speech.codec.decoded:
            if not self.speech.codec.decoded:
                self._decode(self)
            yield self.speech.heard(self.speech.codec.decoded.pop(0))


class Speech:
    """Makes chunks of a request's frames: of a stream a growing number of them, else all.

    Args:
        context: Of the hook.
        model: Draws and decodes.
        row: The request, whose prompt is given to be read.

    Attributes:
        codec: Its frames on their way through the codec.

    Raises:
        InputError: It cannot be spoken by this model.
    """

    codec: CodecRow

    def __init__(self, context: Context, model: OptimizedModel, row: ServedRow) -> None:
        assert model.engine is not None, "used after unload"
        self._context, self._model, self._engine, self._request = context, model, model.engine, row.request
        self._ask, self._utterance = asked(context, model, row.request)
        self._retry_warning: tuple[str, ...] = ()
        self._restart()
        with self._engine.turns.use("talker"):
            admission = self._engine.admission(self._utterance)
        self._drawing: Drawing = row.decode(admission, self._take)

    def _restart(self) -> None:
        """Begin with nothing that was drawn."""
        whole = _WHOLE_OFFLOADED if self._engine.turns.offloaded else _WHOLE
        sizes = growing_sizes(whole, 1.0, whole)
        if self._request.streaming:
            sizes = growing_sizes(self._ask.chunk_frames, self._ask.chunk_growth, self._ask.max_chunk_frames)
        self.codec = CodecRow(sizes, self._first_state)
        self._frames = 0
        self._parts: list[NDArray[np.float32]] = []
        self._reason: FinishReason | None = None
        # A benchmark's forced length is not ended early, whatever it sounds like.
        self._detector = None
        if not self._ask.forced:
            self._detector = RunawayDetector(rate=RATE, frame=self._engine.codec.samples_per_frame)

    def _first_state(self) -> CodecState:
        """Make the state of the codec behind the recording, where the talker has that in its past."""
        ask, codes, codec = self._ask, self._utterance.codes, self._engine.codec
        if ask.voice is None or codes is None:
            return codec.start()
        return state_of(ask.voice, codes, codec, weights=self._model.weights.identity, cache=self._model.voices)

    # -- between two steps -------------------------------------------------------------------------------------------

    def _take(self, block: RowBlock) -> None:
        """Take the new frames, and see whether they are the last."""
        codes = frames_of(block)
        self._frames += len(codes)
        self.codec.add(codes)
        if block.end is not None:
            self._end("stop" if block.end == "stop" else "length")
        elif self._detector is not None and self._detector.repeats(codes):
            self._end("length")

    def _end(self, reason: FinishReason) -> bool:
        """Draw no more; or draw it again with another seed if its length is wrong, and return True."""
        request, least = self._request, self._context.spec.min_seconds_per_char
        seconds = self._frames / FRAMES_PER_SECOND
        fault = wrong_length(request.text, seconds, reason, least=least, speed=request.speed)
        if fault and self._may_retry():
            self._retry_warning = (retry_warning(request.text, fault),)
            self._restart()
            self._drawing.redraw(seed=retry_seed(request.seed))
            return True
        if not self._drawing.ended:
            self._drawing.stop()
        self._reason, self.codec.ended = reason, True
        return False

    def _may_retry(self) -> bool:
        """Tell whether it may be drawn again: nobody hears it yet, its length is its own, and it was not before."""
        if self._request.streaming or self._ask.forced or self._retry_warning:
            return False
        return self._context.settings.retry_runaway and not Qwen3Options.of(self._request).bounds_length()

    # -- chunks ------------------------------------------------------------------------------------------------------

    def heard(self, samples: NDArray[np.float32]) -> Chunk | None:
        """Return a chunk of new samples, or of all where these are the last; None while a whole goes on."""
        self._parts.append(samples)
        last = self.codec.ended and not (self.codec.waiting or self.codec.decoded)
        if not last and self._detector is not None and self._detector.is_silent(samples):
            if self._end("length"):
                return None
            last = True
        return self._chunk(last=last) if last or self._request.streaming else None

    def _chunk(self, *, last: bool) -> Chunk:
        samples, self._parts = np.concatenate(self._parts), []
        frames = len(samples) // self._engine.codec.samples_per_frame
        if not last:
            return Chunk(samples, RATE, tokens=frames)
        return Chunk(
            samples, RATE, tokens=frames, finish_reason=self._reason, retries=len(self._retry_warning),
            warnings=(*self._retry_warning, *self._ask.warnings), unread=self._ask.unread,
        )  # fmt: skip
