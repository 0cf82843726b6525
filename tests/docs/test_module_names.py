"""Modules and names of the core that a page names exist."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "realtts": ROOT / "core/src/realtts",
    "realtts_toylm": ROOT / "plugins/toylm/src/realtts_toylm",
    **{path.parent.name: path.parent for path in ROOT.glob("servers/*/src/*/__init__.py")},
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = {
    *("realtts.providers", "realtts.extensions", "realtts.places", "realtts.recognizers"),  # groups of entry points
    *("realtts.toml", "realtts.json"),  # files
    "realtts.NAME.worker",  # a logger
    "realtts.check",  # a kind of record
}
"""Names that look like modules."""


def file_of(names):
    """The file of a module by its dotted parts, or None."""
    path = PACKAGES[names[0]].joinpath(*names[1:])
    stub = path / "__init__.pyi"
    return next((file for file in (path.with_suffix(".py"), stub, path / "__init__.py") if file.is_file()), None)


@functools.cache
def defined(path):
    """The names at the top of a module: what it defines, imports and assigns."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def exists(dotted):
    """Whether there is such a module, or a module that has the first name behind it."""
    names = dotted.split(".")
    for length in range(len(names), 0, -1):
        path = file_of(names[:length])
        if path is not None:
            return length == len(names) or names[length] in defined(path)
    return False


def mentioned(page):
    """The dotted names in backticks and the imports in the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    if page.name == "house.md":
        text = text.split("\n## Moved modules\n")[0]
    for module, names in re.findall(r"^\s*from (realtts(?:_toylm)?[\w.]*) import (.+)$", text, re.MULTILINE):
        yield from (f"{module}.{name.split(' as ')[0].strip()}" for name in names.strip("()").split(","))
    yield from re.findall(r"`(realtts(?:_toylm)?(?:\.[a-zA-Z_]\w*)+)(?:\([^`]*\))?`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_exist(page):
    """Every module that the page names is there, and has the name that the page takes from it."""
    assert [name for name in mentioned(page) if name not in OTHERS and not exists(name)] == []


@pytest.mark.parametrize("dotted", ["realtts.spec", "realtts.kit.nothing", "realtts.accel.offload.sharing.Torns"])
def test_a_wrong_name_is_seen(dotted):
    """The test fails where a page names what is not there."""
    assert not exists(dotted)
