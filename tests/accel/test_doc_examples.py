"""The examples of docs/reference/accel run as printed, and those of every tutorial and how-to that imports torch.

As in tests/docs/test_examples.py: the Python blocks of a page run in order, in one namespace and a folder of their own;
``<!-- skip: reason -->`` leaves one out, ``<!-- file: NAME -->`` writes it to that file instead, ``<!-- output -->``
stands before what the block must print.
"""

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

DOCS = Path(__file__).parents[2] / "docs/reference/accel"
PAGES = sorted(DOCS.glob("*.md"))
GUIDES = [
    page
    for kind in ("tutorials", "how-to")
    for page in sorted((DOCS.parents[1] / kind).glob("*.md"))
    if "\nimport torch\n" in page.read_text(encoding="utf-8")
]
_BLOCK = re.compile(r"(?:^<!-- (\w+)(?:: (.+?))? -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.usefixtures("own_folders"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's compiler
]


@pytest.fixture
def folder(own_folders, monkeypatch):
    """A working folder from which the examples may import."""
    monkeypatch.chdir(own_folders)
    monkeypatch.syspath_prepend(own_folders)
    modules = set(sys.modules)
    yield own_folders
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(own_folders):
            del sys.modules[name]


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], ids=lambda page: page.stem)
def test_examples_run(page, folder, capsys):
    """Every block, with the output that the page shows; random numbers are the page's own."""
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "example"}
    printed = ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for match in _BLOCK.finditer(text):
            directive, argument, language, code = match.groups()
            if directive == "file":
                (folder / argument).write_text(code, encoding="utf-8")
            elif directive == "output":
                assert printed == code, f"{page.name}, before line {text.count(chr(10), 0, match.end())}"
            elif directive is None and language == "python":
                padding = "\n" * text.count("\n", 0, match.start(4))
                exec(compile(padding + code, page.name, "exec"), namespace)
                printed = capsys.readouterr().out
            else:
                assert directive in {None, "skip"}, f"{page.name}: unknown directive {directive!r}"
                assert directive is None or argument, f"{page.name}: a skip needs its reason"


def test_every_page_has_an_example():
    """All but the index."""
    assert [page.stem for page in PAGES if "```python" not in page.read_text(encoding="utf-8")] == ["index"]


def test_the_index_lists_every_page():
    """With a link."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.stem != "index" and f"]({page.name})" not in index] == []
