"""``realtts say``: text to a file, to the loudspeaker, or both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli.parsing import add_command, add_listening, add_running, add_speaker

if TYPE_CHECKING:
    import argparse

    from realtts.cli.parsing import Parser

__all__ = ["add_parser"]

MAX_CHARS = 5_000_000


def add_parser(commands: Any) -> None:
    """Add ``realtts say``."""
    parser = add_command(
        commands,
        "say",
        _say,
        """Speak a text into an audio file, or aloud.

        Long texts are spoken block by block in bounded memory; Ctrl-C leaves a valid file of what was spoken so far.
        A text that begins with a dash goes last, behind --.

        Examples:

            realtts say "Hello there." -o hello.wav
            realtts say "Guten Tag." -l de --play
            realtts say -f book.txt -o book.mp3 --captions book.srt
            realtts say "In your voice." -v me.wav -o me.flac -O exaggeration=0.7
            realtts say "１０ ﬁles" --show-text
            echo "From a pipe." | realtts say - -o - --format mp3 > pipe.mp3
        """,
    )
    parser.add_argument("text", nargs="?", metavar="TEXT", help="what to say; - reads it from standard input")
    parser.add_argument("-f", "--file", type=Path, metavar="FILE", help="read the text from a file (UTF-8)")
    _add_outputs(parser)
    _add_speaker(parser)


def _add_outputs(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write a .wav, .flac, .ogg, .opus, .mp3, .m4a or .aac file; - is standard output"
        " (default: speech.wav, or a free name like it)",
    )
    group.add_argument(
        "--format", metavar="FORMAT", help="wav, flac, ogg, opus, mp3, m4a or aac; default: by FILE's suffix, else wav"
    )
    group.add_argument("--play", action="store_true", help="play the audio as it comes")
    group.add_argument(
        "--stream", action="store_true", help="write while speaking, instead of when everything is spoken"
    )
    group.add_argument("--captions", type=Path, metavar="FILE", help="write subtitles, .srt or .vtt")
    group.add_argument(
        "--max-chars",
        type=int,
        default=MAX_CHARS,
        metavar="N",
        help="refuse a longer text before anything is spoken (default: 5,000,000)",
    )
    group.add_argument(
        "--show-text",
        action="store_true",
        help="speak nothing: show what becomes of the text step by step, and what of it is not said",
    )
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _add_speaker(parser: Parser) -> None:
    group = parser.add_argument_group("speaker")
    add_speaker(
        group,
        seed="repeats a speech; every block of a long text gets the same (default: drawn once and printed)",
        normalize="put numbers, dates and signs into words, or leave them to the model"
        " (default: as the provider has it)",
    )
    add_listening(
        group,
        check_words="listen to every piece, and speak one again whose words are not all there",
        timestamps="for captions of a provider that gives none",
    )
    add_running(group)


def _say(arguments: argparse.Namespace) -> int:
    from dataclasses import fields

    from realtts.cli.speaking import Job, speak

    return 0 if speak(Job(**{field.name: getattr(arguments, field.name) for field in fields(Job)})) else 130
