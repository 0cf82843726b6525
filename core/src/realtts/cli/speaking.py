"""What ``realtts say`` does: block after block, from the text to every output, in bounded memory."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts import RealProvider
from realtts.audio.formats import by_name
from realtts.cli import console
from realtts.cli.interrupts import Interrupts
from realtts.cli.loading import Loading
from realtts.cli.option_values import parse_options
from realtts.cli.outputs import Outputs
from realtts.cli.progress import Progress
from realtts.cli.source import find_source
from realtts.errors import InvalidOption
from realtts.synthesis.pauses import PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from realtts.synthesis.validate import check_options, reads_markup
from realtts.text import is_speakable, unread_warnings
from realtts.voices.lookup import find_voice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realtts.cli.source import Source
    from realtts.contract.types import Chunk

__all__ = ["Job", "speak"]

# Small enough that progress moves and that little is lost by an interrupt, large enough that texts of a few pages
# are one request.
BLOCK_CHARS = 5000
_LONG_CHARS = 1000
_DEFAULT_STEM = "speech"
_PATIENCE_S = 3.0
_PARAGRAPH_END = re.compile(r"\n\s*\n\Z")
_SENTENCE_END = re.compile(r"[.!?…:;。！？।؟][\"'”’»)\]]*\s*\Z|\n\Z")


@dataclass(frozen=True)
class Job:
    """The arguments of ``realtts say``."""

    text: str | None
    file: Path | None
    output: Path | None
    format: str | None
    play: bool
    provider: str | None
    model: str | None
    configuration: str | None
    voice: str | None
    reference_text: str | None
    language: str | None
    speed: float
    seed: int | None
    normalize: str | None
    check_words: bool
    timestamps: str | None
    device: str | None
    options: Sequence[str]
    strict: bool
    stream: bool
    captions: Path | None
    max_chars: int
    quiet: bool
    show_text: bool


@dataclass
class _Tally:
    """The count of what has been spoken so far."""

    chars: int = 0
    chars_of_block: int = 0  # those of the block that is being spoken
    load_s: float = 0.0
    warnings: dict[str, None] = field(default_factory=dict)  # in order, each once


def speak(job: Job) -> bool:
    """Speak the job's text to its outputs; False when it was interrupted.

    Raises:
        RealTTSError: Something is wrong; nothing is left behind, except by ``--stream``.
    """
    _check(job)
    source = find_source(job.text, job.file, job.max_chars)
    source.check(job.max_chars)
    if job.show_text:
        _show_text(job, source)
        return True
    with Interrupts() as interrupts:
        tts = RealProvider(
            job.provider,
            model=job.model,
            configuration=job.configuration,
            device=job.device,
            strict=job.strict or None,
            **_language(job),
        )
        outputs = None
        try:
            outputs = Outputs(
                interrupts,
                _output(job),
                file_format=job.format,
                live=job.stream,
                play=job.play,
                captions=job.captions,
                timed=job.timestamps is not None,
                spec=tts.spec,
            )
            with Loading(tts, wanted=not job.quiet):
                _run(_Run(job, source, tts, outputs))
        except KeyboardInterrupt:
            console.err(_interrupted(outputs))
            tts.close(timeout_s=_PATIENCE_S)
            return False
        except BaseException:
            if outputs is not None:
                _leave(outputs, stream=job.stream)
            tts.close()
            raise
        finally:
            if outputs is not None:
                outputs.close()
        tts.close()
        return True


def _language(job: Job) -> dict[str, Any]:
    """Return the setting ``language``, by which an embedded voice is chosen: that of the text, where it is named."""
    return {} if job.language is None else {"language": job.language}


def _show_text(job: Job, source: Source) -> None:
    """Print what becomes of the text, and load nothing."""
    from realtts.cli.show_text import show_text

    with RealProvider(
        job.provider, model=job.model, configuration=job.configuration, device=job.device, **_language(job)
    ) as tts:
        arguments = _arguments(job, tts, parse_options(job.options, tts.spec), job.seed or 0)
        with source.open() as stream:
            show_text(tts, stream.read(), arguments, job.model)


def _output(job: Job) -> Path | None:
    """Return where the audio is written to; with neither ``-o`` nor ``--play`` a file that does not exist yet."""
    if job.output is not None or job.play:
        return job.output
    suffix = job.format.lower().removeprefix(".") if job.format else "wav"
    stem = job.file.stem if job.file is not None and job.file.is_file() else _DEFAULT_STEM
    names = (f"{stem}{'' if number == 1 else f'-{number}'}.{suffix}" for number in itertools.count(1))
    return next(path for path in map(Path, names) if not os.path.lexists(path))


def _check(job: Job) -> None:
    """Check the arguments before standard input is read."""
    what, fix = "", "give a TEXT, or - for standard input, or --file FILE"
    if job.text is None and job.file is None:
        what = "there is nothing to say"
    elif job.text is not None and job.file is not None:
        what = "TEXT and --file are both given"
    if what:
        raise InvalidOption(what, who="realtts say", fix=fix)
    if job.format is not None:
        by_name(job.format)


class _Run:
    """A job that is running."""

    def __init__(self, job: Job, source: Source, tts: RealProvider, outputs: Outputs) -> None:
        self.job = job
        self.source = source
        self.tts = tts
        self.outputs = outputs
        self.tally = _Tally()
        self.seed = secrets.randbits(31) if job.seed is None else job.seed
        options = parse_options(job.options, tts.spec)
        self._arguments = _arguments(job, tts, options, self.seed)
        own = check_options(options, tts.spec)
        self._ssml = reads_markup(options, tts.spec)
        markup = self._ssml or getattr(own, "ssml", False)
        # Markup is one document: cut into blocks it would be none.
        self._block_chars = source.chars if markup else min(BLOCK_CHARS, tts.settings.max_text_chars)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the audio of the whole text, with silence between blocks."""
        pause_s = 0.0
        for block in self.source.blocks(self._block_chars, self.job.language):
            speakable = is_speakable(block)
            if speakable and pause_s:
                self.outputs.write_silence(pause_s / self.job.speed)
            self.outputs.begin_block(block, markup=self._ssml)
            if speakable:
                yield from self._block(block)
                pause_s = 0.0
            pause_s = max(pause_s, _pause_after(block))
            self.tally.chars += len(block)
            self.tally.chars_of_block = 0

    def _block(self, block: str) -> Iterator[Chunk]:
        with self.tts.stream(block, **self._arguments) as stream:
            for chunk in stream:
                self.tally.warnings.update(dict.fromkeys(self._warnings(chunk, block)))
                self.tally.chars_of_block = stream.spoken_chars
                yield chunk
        stages = stream.metrics.stages
        self.tally.load_s += sum(seconds for stage, seconds in stages.items() if not stage.startswith("generate"))

    def _warnings(self, chunk: Chunk, block: str) -> Iterator[str]:
        """Yield the warnings of a chunk, with places in the whole text instead of the block."""
        name = self.tts.spec.name
        in_block = unread_warnings(name, block, chunk.unread)
        in_text = unread_warnings(name, block, chunk.unread, offset=self.tally.chars)
        moved = dict(zip(in_block, in_text, strict=True))
        return (moved.get(warning, warning) for warning in chunk.warnings)


def _arguments(job: Job, tts: RealProvider, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the arguments of `RealProvider.stream` beside the text."""
    return {
        # Read once: a recording that changes while a book is spoken must not change the voice.
        "voice": find_voice(job.voice, reference_text=job.reference_text, spec=tts.spec, settings=tts.settings),
        "language": job.language,
        "speed": job.speed,
        "seed": seed,
        "normalize": job.normalize,
        "check_words": job.check_words,
        "timestamps": job.timestamps,
        **options,
    }


def _pause_after(block: str) -> float:
    """Return the seconds of silence behind a block: providers end a request without one."""
    if _PARAGRAPH_END.search(block):
        return PARAGRAPH_PAUSE_S
    return SENTENCE_PAUSE_S if _SENTENCE_END.search(block) else 0.0


def _run(run: _Run) -> None:
    """Speak to the end."""
    job, outputs = run.job, run.outputs
    started = time.perf_counter()
    long = run.source.chars > _LONG_CHARS
    with Progress(run.source.chars, wanted=long and not job.quiet) as progress:
        for chunk in run.chunks():
            outputs.write(chunk)
            progress.update(run.tally.chars + run.tally.chars_of_block, outputs.seconds)
        progress.update(run.source.chars, outputs.seconds)
    work_s = time.perf_counter() - started
    outputs.finish()
    if not job.quiet:
        _summary(run, work_s)


def _interrupted(outputs: Outputs | None) -> str:
    """Finish what there is, and print what that is."""
    if outputs is None:
        return "Interrupted before any audio."
    left = outputs.keep()
    if not outputs.name:
        return f"Interrupted after {console.duration(outputs.seconds)} of audio."
    if left:
        return f"Interrupted: {outputs.name} holds the first {console.duration(outputs.seconds)} of audio."
    return f"Interrupted before any audio: {outputs.name} was not written."


def _leave(outputs: Outputs, *, stream: bool) -> None:
    """Remove all outputs after an error, except a stream, which others may be reading already."""
    if not stream:
        outputs.discard()
    elif outputs.keep():
        console.err(
            f"Stopped by an error: {outputs.name} holds the first {console.duration(outputs.seconds)} of audio."
        )


def _summary(run: _Run, work_s: float) -> None:
    status = run.tts.get_provider_status()
    outputs, load_s = run.outputs, run.tally.load_s
    parts = [f"{console.duration(outputs.seconds)} of audio"]
    # Whoever listens sets the pace, so there is no rate to speak of.
    if outputs.seconds and not run.job.play:
        parts.append(f"RTF {max(0.0, work_s - load_s) / outputs.seconds:.3g}")
    if load_s >= 0.05:
        parts.append(f"{console.duration(load_s, digits=1)} to load")
    parts += [f"{status['provider']}/{status['variant']}", f"seed {run.seed}"]
    console.err(f"{outputs.name or 'played'}: {', '.join(parts)}")
    for path in outputs.others:
        console.err(f"{path}: captions")
    for warning in (*run.tally.warnings, *outputs.warnings):
        console.warn(warning)
    for attempt in status["attempts"]:
        console.err(console.given_up(attempt))
