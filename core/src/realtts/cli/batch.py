"""``realtts batch``: thousands of texts into files, resumed after any end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli.parsing import add_command, add_listening, add_running, add_speaker

if TYPE_CHECKING:
    import argparse

    from realtts.bulk import BulkJob, Summary
    from realtts.cli.parsing import Parser

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts batch``."""
    parser = add_command(
        commands,
        "batch",
        _batch,
        """Speak every row of a table into a file of its own.

        TABLE has a column 'text', and where wanted id, voice, reference_text, language, speed, seed, normalize,
        check_words, timestamps and options; other columns are carried along. The folder gets the audio, manifest.jsonl
        (what became of each row) and log.jsonl (times). A row that cannot be spoken has its error in the manifest.
        After any end, even a kill,
        --resume goes on: nothing is spoken twice, and the audio is that of a run without interruption.

        With --chapters, TABLE is a book (.txt, .md or .epub), and each chapter gets a file; with PyAV (pip install av)
        or ffmpeg all of them together are an .m4b file with marks at the chapters as well.

        Examples:

            realtts batch texts.jsonl -o speech/
            realtts batch texts.csv -o speech/ -p espeak --workers 2 --format flac
            realtts batch texts.jsonl -o speech/ --resume
            realtts batch book.epub -o book/ --chapters --captions srt
            realtts batch texts.jsonl -o speech/ --ray --workers 8 --worker-gpus 0.5
        """,
    )
    parser.add_argument("table", type=Path, metavar="TABLE", help="a .jsonl, .csv, .tsv or .parquet file, or a book")
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where everything goes")
    group.add_argument("--format", default="wav", metavar="FORMAT", help="wav, flac, ogg, opus, mp3, m4a or aac")
    group.add_argument("--captions", choices=("srt", "vtt"), help="write subtitles beside each audio file")
    group.add_argument("--chapters", action="store_true", help="the table is a book: speak it chapter by chapter")
    group.add_argument("--resume", action="store_true", help="go on with the job that the folder holds")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    _add_work(parser)
    _add_speaker(parser)


def _add_work(parser: Parser) -> None:
    group = parser.add_argument_group("work")
    group.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes with a model each (default: this one alone)"
    )
    group.add_argument(
        "--concurrency", type=int, metavar="N", help="rows that one model is given at a time (default: 8)"
    )
    group.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="let workers of a Ray cluster speak (default: the one of this machine)",
    )
    group.add_argument("--worker-gpus", type=float, default=0.0, metavar="N", help="GPUs of each worker of a cluster")


def _add_speaker(parser: Parser) -> None:
    group = parser.add_argument_group("speaker, where a row does not say otherwise")
    add_speaker(
        group,
        seed="each row's seed is derived from it and the row's id (default: drawn once and kept in the folder)",
        normalize="put numbers, dates and signs into words, or not",
    )
    add_listening(
        group,
        check_words="listen to every row, and speak one again whose words are not all there",
        timestamps="for --captions of a provider that gives none",
    )
    add_running(group)


def _batch(arguments: argparse.Namespace) -> int:
    from realtts.bulk import run_job
    from realtts.cli import console
    from realtts.cli.interrupts import Interrupts
    from realtts.cli.progress import Progress

    job = _job(arguments)
    with Interrupts():
        bar: Progress | None = None
        begun = time.monotonic()

        def show(progress: Any) -> None:
            nonlocal bar
            if bar is None:
                bar = Progress(progress.chars, wanted=not arguments.quiet)
                bar.__enter__()
            bar.update(progress.done_chars, progress.audio_s, _note(progress, time.monotonic() - begun))

        try:
            summary = run_job(job, show)
        except KeyboardInterrupt:
            console.err(f"Interrupted. What was spoken is in {job.folder}; --resume goes on.")
            return 130
        finally:
            if bar is not None:
                bar.__exit__()
    if not arguments.quiet:
        _report(summary)
    return 1 if summary.failed else 0


def _job(arguments: argparse.Namespace) -> BulkJob:
    from realtts import RealProvider
    from realtts.bulk import BulkJob, Defaults
    from realtts.cli.option_values import parse_options

    given = {"configuration": arguments.configuration, "device": arguments.device, "language": arguments.language}
    settings = {name: value for name, value in given.items() if value is not None}
    settings |= {"strict": True} if arguments.strict else {}
    with RealProvider(arguments.provider, model=arguments.model, **settings) as tts:
        options = parse_options(arguments.options, tts.spec)
        provider = tts.spec.name
    return BulkJob(
        source=arguments.table,
        folder=arguments.output,
        provider=provider,
        model=arguments.model,
        settings=settings,
        defaults=Defaults(
            voice=arguments.voice,
            reference_text=arguments.reference_text,
            language=arguments.language,
            speed=arguments.speed,
            normalize=arguments.normalize,
            check_words=arguments.check_words,
            timestamps=arguments.timestamps,
            options=options,
            folder=str(arguments.table.parent),
        ),
        seed=arguments.seed,
        format=arguments.format.lower().removeprefix("."),
        captions=arguments.captions,
        workers=arguments.workers,
        ray=arguments.ray,
        worker_gpus=arguments.worker_gpus,
        concurrency=arguments.concurrency,
        resume=arguments.resume,
        chapters=arguments.chapters,
    )


def _note(progress: Any, seconds: float) -> str:
    """Return rows, failed ones, and the time that is left at the pace so far."""
    from realtts.cli import console

    parts = [f"{progress.done:,} of {progress.rows:,} rows"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.spoken_chars and not console.is_terminal():
        left_s = (progress.chars - progress.done_chars) * seconds / progress.spoken_chars
        parts.append(f"{console.clock(left_s)} left")
    return ", ".join(parts)


def _report(summary: Summary) -> None:
    from realtts.cli import console

    parts = [f"{summary.spoken:,} of {summary.rows:,} rows", f"{console.duration(summary.audio_s)} of audio"]
    if summary.earlier:
        parts.append(f"{summary.earlier:,} rows spoken before")
    if summary.failed:
        parts.append(f"{summary.failed:,} failed (see manifest.jsonl)")
    console.err(f"{summary.folder}: {', '.join(parts)}, seed {summary.seed}")
    if summary.audiobook is not None:
        console.err(f"{summary.audiobook}: all chapters")
