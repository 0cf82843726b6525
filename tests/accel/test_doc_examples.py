"""The examples of docs/reference/accel run as printed. They need torch, which the other pages do not.

As in tests/docs/test_examples.py: the Python blocks of a page run in order, in one namespace; ``<!-- skip: reason -->``
leaves one out, ``<!-- output -->`` stands before what the block must print.
"""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

DOCS = Path(__file__).parents[2] / "docs/reference/accel"
PAGES = sorted(DOCS.glob("*.md"))
_BLOCK = re.compile(r"(?:^<!-- (\w+)(?:: (.+?))? -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.usefixtures("own_folders"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's compiler
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, capsys):
    """Every block, with the output that the page shows; random numbers are the page's own."""
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "example"}
    printed = ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for match in _BLOCK.finditer(text):
            directive, argument, language, code = match.groups()
            if directive == "output":
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
