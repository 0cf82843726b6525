"""Results: a whole speech and what it cost."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.stages import StageWork
    from realtts.contract.types import FinishReason, Mark

__all__ = ["Metrics", "Speech"]


@dataclass(frozen=True)
class Metrics:
    """What a speech cost.

    Attributes:
        first_audio_s: Seconds from the start of the work to the first chunk.
        total_s: Seconds of work, without waiting in the queue.
        queue_s: Seconds spent waiting for the turn.
        rtf: Real-time factor: ``total_s`` over seconds of audio; lower is better. None without audio.
        stages: Seconds per stage of the load that this request caused, of ``generate``, and of its inner stages as
            ``generate.<name>`` where the provider times them.
        tokens: Speech tokens decoded, 0 when the provider does not count them.
        pieces: Number of pieces that the text was split into.
        retries: Pieces, or parts of them, that were spoken again because of a runaway, words that were missing or a
            failed rung.
        work: What the inner stages did, by name: seconds, steps, bytes and operations.
    """

    first_audio_s: float = 0.0
    total_s: float = 0.0
    queue_s: float = 0.0
    rtf: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0
    pieces: int = 1
    retries: int = 0
    work: Mapping[str, StageWork] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as a JSON-able dictionary."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Speech:
    """The audio of a whole text.

    Attributes:
        samples: float32 of shape (n,) in [-1, 1]; the caller's own copy, which may be changed.
        sample_rate: Hz.
        text: The caller's original text.
        marks: Word or sentence timings, where the provider gives them.
        finish_reason: ``"stop"``; ``"length"`` when a cap ended it; ``"cancelled"``.
        metrics: What it cost.
        warnings: Sentences for the user: clipping, retries, caps.
        provider: Name of the provider that spoke.
        seed: Seed that was used; passing it again repeats the speech.
        markup: Whether ``text`` is SSML, so that subtitles show it without its tags.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    text: str = ""
    marks: tuple[Mark, ...] = ()
    finish_reason: FinishReason = "stop"
    metrics: Metrics = field(default_factory=Metrics)
    warnings: tuple[str, ...] = ()
    provider: str = ""
    seed: int = 0
    markup: bool = False

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    def save(
        self,
        target: str | os.PathLike[str] | IO[bytes],
        *,
        format: str | None = None,  # noqa: A002 - the word users know
        subtype: str | None = None,
    ) -> None:
        """Write the audio to a file, whole or not at all.

        Args:
            target: A path, or a file object that takes bytes, such as `io.BytesIO`, which is left open.
            format: ``"wav"``, ``"flac"``, ``"ogg"``, ``"opus"``, ``"mp3"``, ``"m4a"`` or ``"aac"``. None: that of the
                path's suffix; of a file object that of its ``name``, else WAV.
            subtype: Encoding such as ``"FLOAT"`` or ``"PCM_24"``; default 16-bit where the format has a choice.

        Raises:
            OutputError: Unknown suffix or format, missing folder, no permission, disk full, AAC without PyAV or
                ffmpeg. Nothing is left behind.
        """
        from realtts import audio

        audio.write(target, self.samples, self.sample_rate, format=format, subtype=subtype)

    def encode(
        self,
        format: str = "wav",  # noqa: A002 - the word users know
        *,
        subtype: str | None = None,
    ) -> bytes:
        """Return the bytes of an audio file, for example for a web response.

        Args:
            format: As for `save`.
            subtype: As for `save`.

        Raises:
            OutputError: Unknown format or subtype, AAC without PyAV or ffmpeg.
        """
        from realtts import audio

        return audio.encode(self.samples, self.sample_rate, format, subtype=subtype)

    def play(self) -> None:
        """Play the audio with a program of this machine, and return when all of it was heard; Ctrl-C ends it.

        Raises:
            OutputError: There is no player, or it failed.
        """
        from realtts.audio.players import play

        play(self.samples, self.sample_rate)

    def srt(self) -> str:
        """Return subtitles in SubRip form, made of the marks.

        Raises:
            OutputError: The speech has no marks.
        """
        from realtts.text import captions

        return captions.to_srt(self.marks, self.text, markup=self.markup)

    def vtt(self) -> str:
        """Return subtitles in WebVTT form, made of the marks.

        Raises:
            OutputError: The speech has no marks.
        """
        from realtts.text import captions

        return captions.to_vtt(self.marks, self.text, markup=self.markup)

    def _repr_html_(self) -> str:
        """Return a player for notebooks."""
        data = base64.b64encode(self.encode("wav")).decode()
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
