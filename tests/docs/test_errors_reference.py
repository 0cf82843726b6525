"""docs/reference/errors.md lists every error once, with its parents."""

import re
from pathlib import Path

from realtts import errors

PAGE = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([A-Z]\w+)` \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
TREE = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_every_error_is_listed_once():
    """The table has each error of the code exactly once, and no other."""
    assert sorted(name for name, _, _ in ROWS) == sorted(errors.__all__)


def test_parents_are_right():
    """The second column names the bases."""
    for name, parents, _ in ROWS:
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        assert re.findall(r"`(\w+)`", parents) == bases, name


def test_tree_has_every_error():
    """The tree names each error once."""
    assert sorted(set(re.findall(r"[A-Z]\w+", TREE)) - {"ValueError"}) == sorted(errors.__all__)
