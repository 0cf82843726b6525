"""``realtts check``: what a recognizer hears of a provider's speech or of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, add_model, add_precision

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from realtts.contract.types import Voice

__all__ = ["add_parser"]

_LONGEST_S = 3600.0
_MOST_SHOWN = 200


def add_parser(commands: Any) -> None:
    """Add ``realtts check``."""
    parser = add_command(
        commands,
        "check",
        _check,
        """Listen to a provider's speech or to a recording: word errors, missing words, ratings.

        A recognizer writes down what it hears, which is held against the text. DistillMOS, DNSMOS and the likeness of
        a cloned voice are added where their packages are installed. Needs realtts[listen] and a recognizer.

        Examples:

            realtts check hibari --text-set short
            realtts check hibari --text-set listening --seconds 300 --json
            realtts check hello.wav --text "Hello there."
            realtts check people/ --transcripts people/metadata.csv
            realtts check chatterbox -v me.wav --text "In your voice." --max-wer 5
        """,
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="AUDIO|FOLDER|PROVIDER",
        help="audio file, folder of them with --transcripts, or provider; default: see 'realtts default'",
    )
    group = parser.add_argument_group("speech")
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--text", help="what to say, or what the file should say")
    chosen.add_argument("-f", "--file", type=Path, metavar="FILE", help="read that text from a file (UTF-8)")
    chosen.add_argument("--text-set", metavar="SET", help="short, long, multilingual or listening (default: short)")
    chosen.add_argument(
        "--transcripts", type=Path, metavar="FILE", help="what each recording of the folder says: lines of NAME|TEXT"
    )
    group.add_argument("-v", "--voice", help="audio file to clone, saved voice, or built-in voice")
    group.add_argument("-l", "--language", metavar="TAG", help="language of the text")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of every request (default: 0)")
    group.add_argument("-O", "--option", action="append", default=[], metavar="NAME=VALUE", help="a provider's option")
    group.add_argument("--seconds", type=float, metavar="S", help="begin no text after that many seconds")
    group = parser.add_argument_group("model")
    add_model(group)
    group.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")
    add_precision(group)
    group = parser.add_argument_group("listening")
    group.add_argument(
        "--recognizer", metavar="NAME", help="folder, hub id or package of a recognizer (default: an installed package)"
    )
    group.add_argument("--max-wer", type=float, metavar="PERCENT", help="exit with 1 when the word error rate is above")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _check(arguments: argparse.Namespace) -> int:
    path = None if arguments.target is None else Path(arguments.target)
    if arguments.transcripts is not None or (path is not None and "/" in arguments.target and path.is_dir()):
        record = _recordings(arguments, path)
    elif path is not None and (path.is_file() or path.suffix.lower() in _audio_suffixes()):
        record = _recording(arguments, path)
    else:
        record = _speech(arguments)
    if arguments.json:
        console.out_json(record)
    else:
        _show(record)
    for warning in record["warnings"]:
        console.warn(warning)
    return int(arguments.max_wer is not None and 100 * record["wer"] > arguments.max_wer)


def _audio_suffixes() -> set[str]:
    from realtts.audio.formats import FORMATS

    return {f".{name}" for name in FORMATS}


def _recording(arguments: argparse.Namespace, path: Path) -> dict[str, Any]:
    from realtts import audio
    from realtts.bench import SpokenText, check_recording
    from realtts.errors import InvalidOption

    text = _text(arguments)
    if text is None:
        what, fix = "it is not said what the file should say", "give --text or --file"
        raise InvalidOption(what, who=f"realtts check {path}", fix=fix)
    samples, sample_rate = audio.read(path, max_seconds=_LONGEST_S)
    item = SpokenText(text, arguments.language)
    recognizer, reference = _recognizer(arguments), _reference(arguments.voice)
    return check_recording(samples, sample_rate, item, recognizer=recognizer, reference=reference, name=path.name)


def _recordings(arguments: argparse.Namespace, folder: Path | None) -> dict[str, Any]:
    from realtts.bench import check_recordings, read_transcripts
    from realtts.errors import InvalidOption

    what = ""
    if folder is None or not folder.is_dir():
        what = "--transcripts needs a folder of recordings"
    elif arguments.transcripts is None:
        what = f"{folder} is a folder, and it is not said what its recordings say"
    if folder is None or what:
        raise InvalidOption(what, who="realtts check", fix="give both: realtts check FOLDER --transcripts FILE")
    recordings = read_transcripts(folder, arguments.transcripts, arguments.language)
    seconds = float("inf") if arguments.seconds is None else arguments.seconds
    return check_recordings(
        recordings, recognizer=_recognizer(arguments), reference=_reference(arguments.voice), name=str(folder),
        most_seconds=seconds, tell=console.err,
    )  # fmt: skip


def _recognizer(arguments: argparse.Namespace) -> str | None:
    from realtts.settings_sources import resolve_settings

    name: str | None = arguments.recognizer or resolve_settings().settings.recognizer
    return name


def _reference(voice: str | None) -> Voice | None:
    """Return the recording that a file should sound like."""
    if voice is None:
        return None
    from realtts import Voice, audio

    samples, sample_rate = audio.read(voice, max_seconds=_LONGEST_S)
    return Voice(samples, sample_rate, name=Path(voice).name)


def _speech(arguments: argparse.Namespace) -> dict[str, Any]:
    from realtts import RealProvider
    from realtts.bench import SpokenText, check_speech, spoken_texts
    from realtts.cli.option_values import parse_options

    keys = ("model", "configuration", "device", "dtype", "precision_policy", "recognizer")
    settings = {key: getattr(arguments, key) for key in keys if getattr(arguments, key) is not None}
    with RealProvider(arguments.target, **settings) as tts:  # never loaded
        options = parse_options(arguments.option, tts.spec)
    text = _text(arguments)
    texts = spoken_texts(arguments.text_set or "short") if text is None else [SpokenText(text, arguments.language)]
    seconds = float("inf") if arguments.seconds is None else arguments.seconds
    return check_speech(
        arguments.target, texts, settings=settings, voice=arguments.voice, seed=arguments.seed, options=options,
        most_seconds=seconds, tell=console.err,
    )  # fmt: skip


def _text(arguments: argparse.Namespace) -> str | None:
    if arguments.file is None:
        text: str | None = arguments.text
        return text
    from realtts.cli.source import find_source

    source = find_source(None, arguments.file, 200_000)
    source.check(200_000)
    with source.open() as stream:
        return stream.read()


def _show(record: Mapping[str, Any]) -> None:
    for result in record["texts"]:
        for line in _faults(result):
            console.out(line)
    rows = [
        ["word error rate", f"{100 * record['wer']:.2f} %", f"{record['errors']} of {record['words']} words"],
        ["missing words", str(record["missing"]), ""],
        ["added words", str(record["added"]), ""],
    ]
    rows += [[f"errors in {kind}", f"{100 * value:.1f} %", ""] for kind, value in record["by_kind"].items()]
    for name, rating in record["ratings"].items():
        mean = rating["mean"]
        rows.append([name, "-" if mean is None else f"{mean:.2f}", rating["why_not"]])
    console.table(["figure", "value", ""], rows)
    console.entry("recognizer", record["recognizer"])


def _faults(result: Mapping[str, Any]) -> list[str]:
    """Return a line for every word of a text that was not heard as it stands."""
    text = result["text"]
    lines = [
        f"{_place(text, each['start'])}: {each['text']!r} is missing"
        + (f", heard {each['instead']!r} instead" if each["instead"] else "")
        for each in result["missing"]
    ]
    lines += [
        f"{_place(text, each['at'])}: {each['heard']!r} is added, at {each['seconds']:.2f} s"
        for each in result["added"]
    ]
    lines += [
        f"{_place(text, each['start'])}: {each['text']!r} was heard as {each['heard']!r}" for each in result["changed"]
    ]
    return [f"{_excerpt(text)}:", *(f"  {line}" for line in lines)] if lines else []


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - (text.rfind(chr(10), 0, at) + 1) + 1}"


def _excerpt(text: str) -> str:
    one = console.one_line(text)
    return one if len(one) <= _MOST_SHOWN else f"{one[: _MOST_SHOWN - 3]}..."
