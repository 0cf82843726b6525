"""Arguments of ``realtts bench --load``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from realtts.bench import Load, Workload
    from realtts.cli.parsing import Parser

__all__ = ["add_load", "check_load_arguments", "read_load", "with_long_texts"]

DEFAULT_DURATION_S = 30.0


def add_load(parser: Parser) -> None:
    """Add the arguments of a load."""
    group = parser.add_argument_group("load of many callers")
    group.add_argument("--load", action="store_true", help="put a load on it: rows together against one at a time")
    group.add_argument("--rate", type=float, metavar="N", help="N requests per second, at random times")
    group.add_argument(
        "--concurrency", type=int, metavar="N", help="N callers who ask again and again (default without --rate: 8)"
    )
    group.add_argument(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="time in which requests begin, for each of the two (default: 30)",
    )
    group.add_argument(
        "--url", metavar="URL", help="put it on a server that OpenAI's clients speak with, such as http://host:port/v1"
    )
    group.add_argument("--voices", nargs="+", metavar="VOICE", help="voices of the requests (default: built-in ones)")


def check_load_arguments(arguments: argparse.Namespace) -> None:
    """Check that arguments of a load and of other measurements are not mixed.

    Raises:
        InvalidOption: They are.
    """
    from realtts.errors import InvalidOption

    if arguments.url is not None:
        given = ("name", "configuration", "device", "random_weights", "dtype", "precision_policy", "tokens")
        wrong = [f"--{name.replace('_', '-')}" for name in given if getattr(arguments, name) is not None]
        wrong += ["--option"] if arguments.option else []
        if wrong:
            what, fix = f"{', '.join(wrong)} is given with --url", "leave it out: the server has its own"
            raise InvalidOption(what, who="realtts bench", fix=fix)
        if arguments.model is None:
            fix = "name the model as the server calls it: --model tts-1"
            raise InvalidOption("--url is given without --model", who="realtts bench", fix=fix)
        arguments.load = True
    if arguments.load:
        wrong = [name for name, given in (("--batch", arguments.batch != 1), ("--stream", arguments.stream),
                                          ("--profile", arguments.profile), ("--repeats", arguments.repeats != 5),
                                          ("--quality", arguments.quality))
                 if given]  # fmt: skip
        if arguments.voice is not None and arguments.voices:
            wrong.append("--voice beside --voices")
        fix = "leave it out: a load streams its requests one by one"
    else:
        names = ("rate", "concurrency", "duration", "voices")
        wrong = [f"--{name}" for name in names if getattr(arguments, name) is not None]
        fix = "give --load too, or leave it out"
    if wrong:
        how = "with" if arguments.load else "without"
        raise InvalidOption(f"{', '.join(wrong)} is given {how} --load", who="realtts bench", fix=fix)


def read_load(arguments: argparse.Namespace) -> Load:
    """Return the load that the arguments name.

    Raises:
        InvalidOption: One is out of range.
    """
    from realtts.bench import Load

    duration = DEFAULT_DURATION_S if arguments.duration is None else arguments.duration
    return Load(arguments.rate, arguments.concurrency, duration_s=duration, seed=arguments.seed)


def with_long_texts(workload: Workload) -> Workload:
    """Return the workload with long texts beside its short ones, which a load without a text of its own has."""
    from dataclasses import replace

    from realtts.bench.workload import load_texts

    return replace(workload, texts=(*workload.texts, load_texts("long")[0]), name="short, long")
