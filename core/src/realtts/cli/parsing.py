"""Parsers with one look: help that keeps its examples, and ``--debug`` wherever it is written."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from realtts.arguments import counterpart
from realtts.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import NoReturn

__all__ = [
    "Parser",
    "add_command",
    "add_model",
    "add_precision",
    "add_running",
    "add_speaker",
    "commands_of",
    "describe",
]

_WIDEST = 100


class _Formatter(argparse.HelpFormatter):
    """A help formatter that wraps paragraphs, except those that are indented."""

    def __init__(self, prog: str) -> None:
        from realtts.cli.console import width

        super().__init__(prog, max_help_position=28, width=width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - argparse's signature
        return "\n\n".join(
            part if part.startswith(" ") else textwrap.fill(part, width, break_on_hyphens=False)
            for part in text.split("\n\n")
        )

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):  # its commands only, without a line for itself
            return "".join(map(self._format_action, action._get_subactions()))
        return super()._format_action(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {action.metavar or action.dest.upper()}"  # the value once


class Parser(argparse.ArgumentParser):
    """A parser whose messages name the closest option or command."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **attributes)
        # Without a default, so that a command does not take back what stood before it.
        self.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks and logs")
        self.set_defaults(run=None, parser=self)

    def parse_args(self, *arguments: Any, **named: Any) -> Any:
        """Parse as usual; an unknown argument is named with the closest one."""
        namespace, unknown = self.parse_known_args(*arguments, **named)
        if not hasattr(namespace, "debug"):
            namespace.debug = False
        if unknown:
            chosen: Parser = namespace.parser
            options = [name for action in chosen._actions for name in action.option_strings if name not in unknown]
            chosen.error(f"unknown argument: {unknown[0]}{_hint(unknown[0], options)}")
        return namespace

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += closest(str(value), map(str, action.choices or ()))
            raise

    def error(self, message: str) -> NoReturn:
        """Print what is wrong in two lines; the whole usage would push it out of sight."""
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def _hint(argument: str, options: Collection[str]) -> str:
    """Return what was probably meant by an unknown argument: what its upstream name is here, or the nearest option."""
    if not argument.startswith("-"):
        return ""
    from realtts.settings import Settings  # not with the module: most command lines are right

    name = argument.partition("=")[0]
    plain = name.strip("-").replace("-", "_")
    ours = plain if plain in Settings.model_fields else counterpart(name)
    if ours == "text" and "--file" in options:
        return " (here it is TEXT, the first argument)"
    if ours is not None and f"--{ours.replace('_', '-')}" in options:
        return f" (here it is --{ours.replace('_', '-')})"
    near = closest(name, options)
    if near or "--option" not in options:
        return near
    if ours is not None and not ours.isidentifier():
        return f" ({ours})"
    if ours is not None:
        return f" (here it is a setting: REALTTS_{ours.upper()} in the environment)"
    return f" (an option of the provider? -O {plain}=VALUE)"


def describe(parser: Parser, text: str) -> Parser:
    """Give a parser its description; indented paragraphs are printed as they are."""
    parser.description = inspect.cleandoc(text)
    return parser


def commands_of(parser: Parser) -> Any:
    """Return the action to which a parser's commands are added."""
    return parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)


def add_command(commands: Any, name: str, run: Callable[[argparse.Namespace], int | None] | None, text: str) -> Parser:
    """Add a command.

    Args:
        commands: Result of `commands_of`.
        name: The word on the command line.
        run: What it does; returns the exit code, None for 0. None for a group of commands.
        text: Description; its first line stands in the list of commands.
    """
    first = inspect.cleandoc(text).partition("\n")[0]
    parser: Parser = describe(commands.add_parser(name, help=first[:1].lower() + first[1:].rstrip(".")), text)
    parser.set_defaults(run=run)
    return parser


def add_model(parser: argparse._ActionsContainer, what: str = "checkpoint name, hub id or local folder") -> None:
    """Add ``--model`` and ``--configuration``, which every command has that looks at a provider's weights.

    Args:
        parser: A parser, or a group of one.
        what: What ``--model`` can be.
    """
    parser.add_argument("--model", help=what)
    parser.add_argument(
        "--configuration", metavar="NAME", help="what the weights of --model are of, where their files do not tell"
    )


def add_precision(parser: argparse._ActionsContainer) -> None:
    """Add ``--dtype`` and ``--precision-policy``, which every command has that judges what a precision costs.

    Args:
        parser: A parser, or a group of one.
    """
    parser.add_argument("--dtype", help="compute type of the optimized variant, such as float32 or bfloat16")
    parser.add_argument("--precision-policy", metavar="POLICY", help="exact, balanced or fast (default: balanced)")


def add_speaker(parser: argparse._ActionsContainer, *, seed: str, normalize: str) -> None:
    """Add who speaks and how, from ``--provider`` to ``--normalize``.

    Args:
        parser: A parser, or a group of one.
        seed: What a seed does there.
        normalize: What ``--normalize`` says.
    """
    parser.add_argument("-p", "--provider", metavar="NAME", help="who speaks; default: see 'realtts default'")
    add_model(parser)
    parser.add_argument("-v", "--voice", help="audio file to clone, saved voice, or built-in voice")
    parser.add_argument("--reference-text", metavar="TEXT", help="the words spoken in the audio file")
    parser.add_argument("-l", "--language", metavar="TAG", help="BCP 47 tag or name, such as en, pt-br or German")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="speaking rate, 0.25 to 4 (default: 1.0)")
    parser.add_argument("--seed", type=int, metavar="N", help=seed)
    parser.add_argument("--normalize", choices=("auto", "off"), help=normalize)


def add_listening(parser: argparse._ActionsContainer, *, check_words: str, timestamps: str) -> None:
    """Add ``--check-words`` and ``--timestamps``.

    Args:
        parser: A parser, or a group of one.
        check_words: What the first one does there.
        timestamps: What times of words are for there.
    """
    parser.add_argument("--check-words", action="store_true", help=f"{check_words} (needs realtts[listen])")
    parser.add_argument(
        "--timestamps", choices=("align",), help=f"align: find the times of words by listening, {timestamps}"
    )


def add_running(parser: argparse._ActionsContainer) -> None:
    """Add ``--device``, ``--option`` and ``--strict``."""
    parser.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")
    parser.add_argument(
        "--option",
        "-O",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the provider; may be repeated",
    )
    parser.add_argument("--strict", action="store_true", help="fail instead of stepping down to a plainer path")
