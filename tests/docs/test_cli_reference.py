"""docs/reference/cli.md shows the help of every command as the program prints it at 80 columns.

After a change of the command line, write the page's help texts anew with::

    python tests/docs/test_cli_reference.py
"""

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

from realtts.cli.app import make_parser, run

PATH = Path(__file__).parents[2] / "docs/reference/cli.md"
_SECTION = re.compile(r"(^#+ (realtts[^\n]*)\n\n```text\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)


def commands(parser, words=("realtts",)):
    """The words of every command, groups included."""
    yield " ".join(words)
    for action in parser._actions:
        for name, child in action.choices.items() if isinstance(action.choices, dict) else ():
            yield from commands(child, (*words, name))


def shown():
    """Help texts of the page by command."""
    return {command: text for _, command, text, _ in _SECTION.findall(PATH.read_text(encoding="utf-8"))}


def printed(command):
    """The program's help for a command."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS="80", NO_COLOR="1")
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert run([*command.split()[1:], "--help"]) == 0
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return out.getvalue()


def test_every_command_has_its_section():
    """The page has the commands of the program, in its order, and no other."""
    assert list(shown()) == list(commands(make_parser()))


@pytest.mark.parametrize("command", list(commands(make_parser())))
def test_help_is_the_programs(command):
    """The page's text is the program's, but for line breaks: argparse wraps differently from Python to Python."""
    assert shown()[command].split() == printed(command).split()


if __name__ == "__main__":
    page = PATH.read_text(encoding="utf-8")
    PATH.write_text(_SECTION.sub(lambda m: m[1] + printed(m[2]) + m[4], page), encoding="utf-8")
