"""The commands, and how each of them ends: typed errors as one message and exit code 2, never a traceback unless asked.

`argparse` rather than a library on top of it, because the start is measured: typer 0.29 takes 0.25 s and imports
pydantic for the smallest command.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

from realtts.cli import (
    batch,
    bench,
    check,
    console,
    default,
    doctor,
    download,
    envs,
    install,
    models,
    new_plugin,
    providers,
    say,
    status,
    verify,
    voices,
)
from realtts.cli.extra_commands import add_extra_commands, where_to_get
from realtts.cli.parsing import Parser, commands_of, describe
from realtts.errors import RealTTSError, StageFailed, closest
from realtts.exception_text import describe_error, exception_message

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["EXIT_INPUT", "EXIT_INTERNAL", "EXIT_INTERRUPTED", "make_parser", "run"]

EXIT_INTERNAL = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130


def make_parser(argv: Sequence[str] = ()) -> Parser:
    """Make the parser of the whole command line.

    Args:
        argv: What it will parse, which may hold a command of another distribution.
    """
    from realtts import __version__

    parser = describe(
        Parser(prog="realtts"),
        """Text to speech with open models, on the fastest path that works on this machine.

        Examples:

            realtts say "Hello there." -o hello.wav
            realtts providers
            realtts doctor

        'realtts COMMAND --help' shows the options and examples of a command.
        """,
    )
    parser.add_argument("--version", action="version", version=f"realtts {__version__}")
    commands = commands_of(parser)
    for module in (
        say,
        batch,
        providers,
        default,
        status,
        doctor,
        install,
        envs,
        bench,
        verify,
        check,
        voices,
        download,
        models,
        new_plugin,
    ):
        module.add_parser(commands)
    word = next((argument for argument in argv if not argument.startswith("-")), None)
    add_extra_commands(commands, word)
    if word is not None and word not in commands.choices:
        parser.error(f"unknown command: {word:.80}{closest(word, commands.choices) or where_to_get(word)}")
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name.

    Args:
        argv: Arguments without the program's name; default: those of the process.

    Returns:
        The exit code: 0, 1 (something is missing, or an internal error), 2 (the input is wrong), 130 (interrupted).
    """
    _make_streams_tolerant()
    try:
        parser = make_parser(sys.argv[1:] if argv is None else argv)
        arguments = parser.parse_args(argv)
    except SystemExit as ended:  # after --help, --version or a usage error
        return ended.code if isinstance(ended.code, int) else EXIT_INPUT
    if arguments.run is None:
        arguments.parser.print_help()
        return EXIT_INPUT
    try:
        code = _run_command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        return EXIT_INTERNAL
    return code


def _run_command(arguments: argparse.Namespace) -> int:
    debug: bool = arguments.debug
    console.set_up_logging(debug=debug, quiet=getattr(arguments, "quiet", False))
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        console.err("Interrupted.")
        return EXIT_INTERRUPTED
    except Exception as error:
        if _is_broken_pipe(error):
            raise BrokenPipeError from error
        if debug:
            console.err_traceback(error)
        if isinstance(error, RealTTSError):
            _report(error)
            return EXIT_INPUT
        _report_internal(error)
        return EXIT_INTERNAL


def _report(error: RealTTSError) -> None:
    if isinstance(error, StageFailed):
        for attempt in error.attempts:
            console.err(console.given_up(attempt.as_dict()))
    console.err(exception_message(error))


def _report_internal(error: Exception) -> None:
    console.err(
        f"internal error: {console.one_line(describe_error(error))}. Run it with --debug to see where, and report it."
    )


def _is_broken_pipe(error: BaseException) -> bool:
    """Tell whether the reader of our output has gone away, which is its own affair (``| head``)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno == errno.EPIPE:
            return True
        seen = seen.__cause__
    return False


def _let_go_of_stdout() -> None:
    """Let the interpreter flush into nothing at its end, where it would complain otherwise."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device, not a path
            os.dup2(nothing.fileno(), descriptor)


def _make_streams_tolerant() -> None:
    """Replace characters that the terminal's encoding lacks instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
