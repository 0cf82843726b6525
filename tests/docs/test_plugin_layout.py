"""The four model plugins read as one: the same modules, and in them the same names."""

import ast
import re
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
MODELS = ("chatterbox", "f5", "qwen3", "vieneu")

NAMES = {
    "options": set(),
    "text": set(),
    "frontend": {"Ask", "prepare"},
    "presets": {"voices_of"},
    "voices": {"listed"},
    "configurations": {"CONFIGURATIONS"},
    "files": set(),
    "sizes": set(),
    "constants": {"RATE"},
    "loading": {"Weights", "fetch", "open_checkpoint"},
    "upstream": set(),
    "building": set(),
    "reference": {"Upstream"},
    "plain": {"Plain", "PlainModel", "asked"},
    "model": {"OptimizedModel", "asked"},
    "network": set(),
    "speaking": set(),
    "optimized": {"Optimized"},
    "testing": {"write_random_checkpoint"},
    "checkpoint": {"write_checkpoint"},
}
"""Of every module that they share, what it offers; in the order in which the package's docstring names them."""


def source(plugin):
    """The package's folder."""
    return PLUGINS / plugin / "src" / f"realtts_{plugin}"


def offered(path):
    """What a module has in ``__all__``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("plugin", MODELS)
def test_modules_offer_the_same_names(plugin):
    """Who has read one plugin finds the same place in the others."""
    missing = {module: NAMES[module] - offered(source(plugin) / f"{module}.py") for module in NAMES}
    assert not {module: names for module, names in missing.items() if names}


@pytest.mark.parametrize("plugin", MODELS)
def test_docstring_names_every_module_in_order(plugin):
    """The package's docstring is its table of contents."""
    docstring = ast.get_docstring(ast.parse((source(plugin) / "__init__.py").read_text(encoding="utf-8")))
    named = re.findall(r"`(\w+)`", docstring)
    assert sorted(named) == sorted(path.stem for path in source(plugin).glob("*.py") if path.stem != "__init__")
    assert [module for module in named if module in NAMES] == list(NAMES)


def test_page_names_them_too():
    """The page about the layout lists the same modules in the same order."""
    page = (PLUGINS.parent / "docs" / "explanation" / "a-model-plugin.md").read_text(encoding="utf-8")
    assert re.findall(r"^\|[^|]*\| `(\w+)` \|", page, re.MULTILINE) == list(NAMES)
