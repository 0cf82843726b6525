"""Start-up, help pages, and how errors are reported."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

import realtts
from realtts.cli.app import make_parser

HEAVY = {
    "huggingface_hub",
    "numpy",
    "torch",
    "pydantic",
    "soundfile",
    "soxr",
    "rich",
    "typer",
    "asyncio",
    "concurrent.futures",
}
COMMANDS = (
    "say",
    "providers",
    "status",
    "doctor",
    "voices",
    "voices add",
    "voices list",
    "voices remove",
    "download",
    "models",
    "models remove",
    "new-plugin",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["providers"], ["providers", "--json"], ["say", "--help"], ["--version"]]
)
def test_the_start_is_light(work, arguments):
    """Neither help nor the listing imports what speaking needs."""
    code = (
        "import json, sys\n"
        "from realtts.cli.app import run\n"
        f"code = run({arguments!r})\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert HEAVY.isdisjoint(modules)
    assert done.stdout


def test_the_script_is_installed():
    """The distribution names the entry point."""
    import importlib_metadata

    (script,) = importlib_metadata.entry_points(group="console_scripts", name="realtts")
    assert script.value == "realtts.cli:main"


def test_main_exits_with_the_code(monkeypatch, capsys):
    """What `run` returns is the exit code of the process."""
    from realtts.cli import main

    monkeypatch.setattr(sys, "argv", ["realtts", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"realtts {realtts.__version__}\n"


def test_version(process):
    """Python -m realtts works as the script does."""
    assert process("--version").out == f"realtts {realtts.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(cli, command):
    """Each page has a sentence and examples, and fits into 80 columns."""
    result = cli(*command.split(), "--help")
    assert result.code == 0
    assert f"usage: realtts {command}" in result.out
    assert f"    realtts {command}" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_help_lists_every_command(cli):
    """The first page names the commands, each with one line."""
    out = cli("--help").out
    for command in ("say", "providers", "status", "doctor", "voices", "new-plugin"):
        assert f"\n  {command} " in out
    assert cli("-h").out == out


@pytest.mark.parametrize("arguments", [[], ["voices"]])
def test_no_command_shows_the_help(cli, arguments):
    """Without a command the help is shown, and the exit code says that nothing was done."""
    result = cli(*arguments)
    assert result.code == 2
    assert "commands:" in result.out


@pytest.mark.parametrize("arguments", [["--debug", "status", "nobody"], ["status", "nobody", "--debug"]])
def test_debug_shows_the_traceback(cli, arguments):
    """--debug may stand before the command or behind it."""
    result = cli(*arguments)
    assert result.code == 2
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("provider 'nobody': ")


def test_debug_shows_the_log(cli):
    """--debug shows what is logged."""
    assert "DEBUG realtts.fake: loading the fake model" in cli("--debug", "say", "hi", "-p", "fake", "-o", "a.wav").err
    assert "loading" not in cli("say", "hi", "-p", "fake", "-o", "a.wav").err
    assert sum(handler.name == "realtts.cli" for handler in logging.getLogger("realtts").handlers) == 1


def test_warnings_of_the_library_are_single_lines(cli, bad_plugins):
    """A broken extension is a warning without a traceback."""
    result = cli("say", "hi", "-p", "fake", "-o", "a.wav")
    warning, summary = result.err.splitlines()
    assert warning.startswith("warning: extension 'broken'")
    assert "AttributeError" in warning
    assert summary.startswith("a.wav: ")


@pytest.mark.parametrize("error", [ZeroDivisionError("a [bold]\nb"), ZeroDivisionError()], ids=["message", "none"])
def test_unexpected_errors(cli, monkeypatch, error):
    """A mistake of ours is one line and exit code 1; with --debug a traceback."""

    def fail():
        raise error

    monkeypatch.setattr("realtts.cli.discovery.list_providers", fail)
    result = cli("providers")
    shown = "ZeroDivisionError: a [bold] b" if str(error) else "ZeroDivisionError"
    assert (result.code, result.err) == (
        1,
        f"internal error: {shown}. Run it with --debug to see where, and report it.\n",
    )
    assert "Traceback" in cli("--debug", "providers").err


def test_interrupt(cli, monkeypatch):
    """Ctrl-C in any command is one word and exit code 130."""

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("realtts.cli.discovery.list_providers", interrupt)
    assert cli("providers").code == 130
    assert cli("providers").err == "Interrupted.\n"


def test_broken_pipe_in_process(cli, monkeypatch):
    """A broken pipe is nobody's error."""

    def fail():
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("realtts.cli.discovery.list_providers", fail)
    monkeypatch.setattr("realtts.cli.app._let_go_of_stdout", lambda: None)
    assert cli("providers").code == 1
    assert cli("providers").err == ""


def test_closed_standard_output_is_let_go(monkeypatch):
    """A standard output without a descriptor is left as it is."""
    import io

    from realtts.cli.app import _let_go_of_stdout

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    _let_go_of_stdout()


def test_streams_of_other_kinds(cli, monkeypatch):
    """Where standard output was replaced by something simpler, commands work as well."""
    import io

    class Simple(io.StringIO):
        pass

    screen = Simple()
    monkeypatch.setattr(sys, "stdout", screen)
    assert cli("--version").code == 0
    assert screen.getvalue().startswith("realtts ")


def test_headings_are_bold_on_a_terminal(cli, monkeypatch):
    """Bold on a terminal, unless NO_COLOR asks for none."""
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def shown():
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        cli("status", "fake")
        return screen.getvalue()

    if sys.platform != "win32":
        assert shown().startswith("\x1b[1mfake\x1b[0m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown().startswith("fake\n")


def test_sizes_are_readable():
    """Bytes in the unit that fits."""
    from realtts.cli.console import size

    assert [size(n) for n in (5, 2048, 3 << 20, 5 << 30, 7 << 40)] == [
        "5 B",
        "2.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
        "7.0 TiB",
    ]


def test_the_parser_is_complete():
    """Every option of every command has help."""
    waiting = [make_parser()]
    while waiting:
        parser = waiting.pop()
        for action in parser._actions:
            assert action.help or action.choices
            if isinstance(action.choices, dict):
                waiting += action.choices.values()
