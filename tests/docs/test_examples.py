"""The examples of the README, the tutorials and the how-tos run as printed.

The Python blocks of a page run in order, in one namespace and a folder of their own. Comments direct the next block::

    <!-- skip: reason -->     it is not run
    <!-- file: NAME -->       it is written to that file instead (any language)
    <!-- output -->           it is what the Python block before it must print

Pages that import torch are run by tests/accel/test_doc_examples.py.
"""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted([*DOCS.glob("tutorials/*.md"), *DOCS.glob("how-to/*.md")])]
_BLOCK = re.compile(r"(?:^<!-- (\w+)(?:: (.+?))? -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder from which the examples may import, without settings, voices or modules of anybody else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    modules, environment = set(sys.modules), dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(environment)
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, folder, capsys):
    """Every block of the page runs, and prints what the page says where it says so."""
    text = page.read_text(encoding="utf-8")
    if "\nimport torch\n" in text:
        pytest.skip("it is run where torch is")
    if '"espeak"' in text and importlib.util.find_spec("realtts_espeak") is None:
        pytest.skip("the plugin espeak is not installed")
    namespace = {"__name__": "example"}
    printed = ""
    for match in _BLOCK.finditer(text):
        directive, argument, language, code = match.groups()
        if directive == "file":
            (folder / argument).write_text(code, encoding="utf-8")
        elif directive == "output":
            assert printed == code, f"{page.name}, before line {text.count(chr(10), 0, match.end())}"
        elif directive is None and language == "python":
            # With the page's own line numbers, so that a failure can be found.
            padding = "\n" * text.count("\n", 0, match.start(4))
            exec(compile(padding + code, page.name, "exec"), namespace)
            printed = capsys.readouterr().out
        else:
            assert directive in {None, "skip"}, f"{page.name}: unknown directive {directive!r}"
            assert directive is None or argument, f"{page.name}: a skip needs its reason"
    for value in namespace.values():
        if type(value).__name__ == "RealProvider":
            value.close()
