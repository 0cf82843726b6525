"""docs/reference/api.md names every public member of the classes that applications use."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from realtts import ChunkStream, Metrics, RealProvider, Speech

PAGE = (Path(__file__).parents[2] / "docs/reference/api.md").read_text(encoding="utf-8")


def section(name):
    """The text under a heading of the second level."""
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL).group(1)


@pytest.mark.parametrize("cls", [RealProvider, Speech, ChunkStream, Metrics], ids=lambda cls: cls.__name__)
def test_every_member_is_named(cls):
    """Methods, properties and fields of the class stand in its section."""
    text = section(cls.__name__)
    fields = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    members = {name for base in cls.__mro__[:-1] for name in vars(base)}
    for name in (*fields, *(name for name in members if not name.startswith("_") and name != "reader")):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("name", ["__init__", "generate"])
def test_arguments_are_listed_in_order(name):
    """The printed signature and the table have the arguments in the order of the code, with their defaults."""
    text = section("RealProvider")
    if name == "generate":
        text = text.split("### generate\n")[1].split("\n### ")[0]
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    arguments = list(inspect.signature(getattr(RealProvider, name)).parameters.values())[1:]
    printed = re.findall(r"^ +(\**\w+): .*?(?: = (.*))?,$", block, re.MULTILINE)
    expected = [(str(a).split(":")[0], "" if a.default is a.empty else repr(a.default)) for a in arguments]
    assert printed == expected
    assert re.findall(r"^\| `(\**\w+)` \|", text, re.MULTILINE)[: len(expected)] == [name for name, _ in expected]
