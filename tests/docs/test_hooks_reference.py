"""docs/reference/hooks.md names every hook with its signature and every field of the types that cross the contract."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from realtts.contract import context, spec, types
from realtts.contract.hooks import STAGES, ProviderHooks
from realtts.contract.options import Options

PAGE = (Path(__file__).parents[2] / "docs/reference/hooks.md").read_text(encoding="utf-8")
HOOKS = {name: function for name, function in vars(ProviderHooks).items() if inspect.isfunction(function)}
TYPES = [
    context.Context, context.Rung, types.Request, types.Chunk, types.Mark, types.Voice, types.VoiceInfo,
    spec.ProviderSpec, spec.Checkpoint, spec.Environment,
]  # fmt: skip


def section(heading):
    """The text under a heading, up to the next one of its level or higher."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"hooks.md has no heading {heading!r}"
    return found.group(1)


def rows(text):
    """The cells of every row whose first cell is a name in backticks."""
    lines = re.findall(r"^\| `\w+` \|.*$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def signature(function):
    """The hook as the page prints it: ``def name(self, context: Context, ...) -> Result``."""
    found = inspect.signature(function)
    shown = [p.name if p.annotation is p.empty else f"{p.name}: {p.annotation}" for p in found.parameters.values()]
    return f"def {function.__name__}({', '.join(shown)}) -> {found.return_annotation}"


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_described(name):
    """Each hook has a section with its exact signature, when it fires, its default and what it may raise."""
    text = section(f"### {name}")
    assert f"```python\n{signature(HOOKS[name])}\n```" in text
    for word in ("Fires", "Default", "May raise"):
        assert f"**{word}**" in text


def test_no_hook_is_invented():
    """The sections under "The hooks" are the hooks, in the order of the specifications."""
    assert re.findall(r"^### (\w+)$", section("## The hooks"), re.MULTILINE) == list(HOOKS)
    assert set(re.findall(r"^def (\w+)\(self", PAGE, re.MULTILINE)) == set(HOOKS)
    assert set(STAGES) <= set(HOOKS)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_fields_are_described(cls):
    """Each type has a table with exactly its fields, their types, defaults and a meaning."""
    described = {row[0].strip("`"): row[1:] for row in rows(section(f"### {cls.__name__}"))}
    assert list(described) == [field.name for field in dataclasses.fields(cls)]
    for field in dataclasses.fields(cls):
        kind, default, meaning = described[field.name]
        assert kind.replace("\\|", "|").split("`")[1] == field.type, field.name
        assert meaning.endswith("."), field.name
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            assert default == "required", field.name
        elif field.default_factory is not dataclasses.MISSING:
            assert default == f"`{field.default_factory.__name__}()`", field.name
        elif callable(field.default):
            assert default not in {"", "required"}, field.name
        else:
            assert default == f"`{field.default!r}`", field.name


def test_capabilities_are_described():
    """The table of capabilities is the one of the code."""
    assert {row[0].strip("`"): row[1].replace("`", "") for row in rows(section("### Capabilities"))} == {
        name: meaning.replace("`", "") for name, meaning in spec.CAPABILITIES.items()
    }


def test_length_limits_are_described():
    """The default of `Options.length_limits` is told."""
    assert f"{{{', '.join(sorted(Options.length_limits))}}}" in section("### Options").replace('"', "")
