"""docs/reference/accel: the index has one line for each module of the toolkit, and each page is that of a module."""

import ast
import re
from pathlib import Path

import pytest

import realtts
from realtts import Settings

PACKAGE = Path(realtts.__file__).parent / "accel"
FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "accel"
INDEX = (FOLDER / "index.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?:\[`([\w.]+)`\]\(([\w#.]+)\)|`([\w.]+)`) \| (.+?) \| (.+?) \|$", INDEX, re.MULTILINE)
LISTED = {linked or plain: (page.partition("#")[0], switch) for linked, page, plain, _, switch in ROWS}
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "index.md")


def modules():
    """Every module and package of the toolkit by its dotted name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, path


def offers(path):
    """Whether a package offers names itself; its modules then need no line of their own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__" for node in tree.body)


def test_every_module_has_a_line():
    """In alphabetical order; a package that offers nothing itself is told by its modules."""
    packages = {name for name, path in modules() if path.name == "__init__.py" and offers(path)}
    needed = {name for name, path in modules() if path.name != "__init__.py"} | packages
    inside = {name for name in needed if name.rpartition(".")[0] in packages}
    assert sorted(needed - inside - set(LISTED)) == []
    assert sorted(set(LISTED) - {name for name, _ in modules()}) == []
    assert list(LISTED) == sorted(LISTED)
    assert len(ROWS) == len(re.findall(r"^\| \[?`", INDEX, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_titled_by_its_module(page):
    """The heading is the module, or the package, of a line that leads to the page."""
    title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# accel.")
    told = {name for name, (linked, _) in LISTED.items() if linked == page.name}
    assert title in told or title in {name.rpartition(".")[0] for name in told}


def test_switches_are_settings():
    """A switch is a setting, torch's own, or an argument that the module's page describes."""
    for name, (page, switch) in LISTED.items():
        for setting in re.findall(r"`(\w+)=", switch):
            text = (FOLDER / page).read_text(encoding="utf-8") if page else ""
            assert setting in Settings.model_fields or setting in text, name
