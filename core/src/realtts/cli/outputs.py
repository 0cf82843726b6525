"""Where the audio of ``realtts say`` goes: a file, a player, subtitles, or all of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from realtts.audio import open_writer
from realtts.audio.formats import other_suffixes
from realtts.audio.players import Playback, find_player
from realtts.audio.target import Target
from realtts.cli.stdout import NAME, is_stdout, stdout_for_audio
from realtts.errors import OutputError, RealTTSError, closest
from realtts.text import captions as subtitles

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.audio import Writer
    from realtts.cli.interrupts import Interrupts
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Chunk, Mark

__all__ = ["Outputs"]


class Outputs:
    """All outputs of a command, checked before anything is spoken.

    Args:
        interrupts: Holds signals back while a file is written.
        path: Audio file, ``-`` for standard output, or None.
        file_format: Its format; None: that of its suffix.
        live: Write it at its final path.
        play: Feed a player too.
        captions: Subtitle file, or None.
        timed: The speech has timings, whatever its provider gives.
        spec: Who will speak: subtitles need its timings.

    Attributes:
        name: What the audio is written to, for messages; empty where it is only played.
        seconds: Audio so far.
        warnings: What went wrong without stopping anything.
        others: Further files that were written.

    Raises:
        OutputError: One of them cannot be written, or there is no player.
    """

    def __init__(
        self,
        interrupts: Interrupts,
        path: Path | None,
        *,
        file_format: str | None = None,
        live: bool,
        play: bool,
        captions: Path | None,
        timed: bool,
        spec: ProviderSpec,
    ) -> None:
        self.name = "" if path is None else NAME if is_stdout(path) else str(path)
        self.seconds = 0.0
        self.warnings: list[str] = []
        self.others: list[Path] = []
        self._interrupts = interrupts
        self._rate = spec.sample_rates[0]
        self._captions = _Captions(captions, spec, timed=timed) if captions is not None else None
        self._playback = Playback(find_player()) if play else None
        self._stack = contextlib.ExitStack()
        self._writer: Writer | None = None
        if is_stdout(path):
            stdout = self._stack.enter_context(stdout_for_audio())
            self._writer = open_writer(stdout, format=file_format or "wav", live=live)
        elif path is not None:
            self._writer = open_writer(path, format=file_format, live=live)

    def close(self) -> None:
        """Give standard output back. May be called again."""
        self._stack.close()

    def begin_block(self, text: str, *, markup: bool = False) -> None:
        """Begin a stretch of the text, to which the following audio belongs."""
        if self._captions is not None:
            self._captions.begin_block(text, self.seconds, markup=markup)

    def write(self, chunk: Chunk) -> None:
        """Write audio and timings.

        Raises:
            OutputError: An output failed. A player that fails beside a file is only warned of.
        """
        self._rate = chunk.sample_rate
        if self._captions is not None:
            self._captions.add(chunk.marks)
        if not len(chunk.samples):
            return
        if self._writer is not None:
            with self._interrupts.held():
                self._writer.write(chunk.samples, chunk.sample_rate)
                self.seconds += chunk.duration
        else:
            self.seconds += chunk.duration
        self._play(chunk)

    def write_silence(self, seconds: float) -> None:
        """Write a pause."""
        from realtts.contract.types import Chunk

        self.write(Chunk(np.zeros(round(seconds * self._rate), np.float32), self._rate))

    def finish(self) -> None:
        """Complete every output.

        Raises:
            OutputError: One of them failed.
        """
        with self._interrupts.held():
            if self._writer is not None:
                self._writer.close()
            self._save_captions()
        if self._playback is not None:
            try:
                with self._interrupts.held():
                    self._playback.complete_file()
                self._playback.finish()
            except OutputError as error:
                self._lose_player(error)

    def keep(self) -> bool:
        """Finish what there is, without playing on; return whether an audio file is left. Never raises."""
        with contextlib.suppress(KeyboardInterrupt), self._interrupts.held():
            self._stop_playing()
            if self._writer is None or not self._writer.written:
                self.discard()
                return False
            try:
                self._writer.close()
                self._save_captions()
            except RealTTSError as error:
                self.warnings.append(str(error))
                self.discard()
                return False
        return True

    def discard(self) -> None:
        """Remove everything that was begun; older files stay as they were."""
        with contextlib.suppress(KeyboardInterrupt), self._interrupts.held():
            self._stop_playing()
            if self._writer is not None:
                self._writer.abort()

    def _play(self, chunk: Chunk) -> None:
        if self._playback is None:
            return
        # A player that reads a pipe may block for long; one that gets a file is written to like any other file.
        held = self._interrupts.held() if self._playback.collects else contextlib.nullcontext()
        try:
            with held:
                self._playback.write(chunk.samples, chunk.sample_rate)
        except OutputError as error:
            self._lose_player(error)

    def _lose_player(self, error: OutputError) -> None:
        self._playback = None
        if self._writer is None:
            raise error
        self.warnings.append(str(error))

    def _stop_playing(self) -> None:
        if self._playback is not None:
            self._playback.stop()
            self._playback = None

    def _save_captions(self) -> None:
        if self._captions is not None and self._captions.save():
            self.others.append(self._captions.path)


class _Captions:
    """Subtitles of a text that comes in blocks; timings are kept, audio is not."""

    def __init__(self, path: Path, spec: ProviderSpec, *, timed: bool) -> None:
        self.path = path
        writers = {".srt": subtitles.to_srt, ".vtt": subtitles.to_vtt}
        if path.suffix.lower() not in writers:
            raise OutputError(
                f"unknown suffix {path.suffix!r}{closest(path.suffix.lower(), writers, others=other_suffixes())}",
                who=str(path),
                fix=f"choose one of {', '.join(writers)}",
            )
        if not timed and "marks" not in spec.capabilities:
            raise OutputError(
                f"provider {spec.name!r} gives no timings",
                who=str(path),
                fix="give --timestamps align, leave --captions out, or use a provider with the capability 'marks' (see"
                " 'realtts providers')",
            )
        self._render = writers[path.suffix.lower()]
        self._target = Target(path, live=False)
        self._texts: list[str] = []
        self._chars = 0
        self._start_s, self._markup = 0.0, False
        self._marks: list[Mark] = []

    def begin_block(self, text: str, start_s: float, *, markup: bool) -> None:
        self._chars += len(self._texts[-1]) if self._texts else 0
        self._texts.append(text)
        self._start_s, self._markup = start_s, markup

    def add(self, marks: tuple[Mark, ...]) -> None:
        for mark in marks:
            start, end = mark.span
            self._marks.append(
                replace(
                    mark,
                    start=mark.start + self._start_s,
                    end=mark.end + self._start_s,
                    span=(start + self._chars, end + self._chars),
                )
            )

    def save(self) -> bool:
        """Write the file; False when there was nothing to write."""
        if not self._texts:
            return False
        content = self._render(self._marks, "".join(self._texts), markup=self._markup)
        self._target.open()
        try:
            self._target.sink.write(content.encode("utf-8"))
            self._target.sink.flush()
            if self._target.sink.error is not None:
                raise self._target.sink.error
            self._target.commit()
        except OSError as error:
            self._target.discard()
            raise OutputError(
                f"writing failed ({error.strerror or error})", who=str(self.path), fix="free some disk space"
            ) from error
        return True
