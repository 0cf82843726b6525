"""The pages about the cluster say what it does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from realtts_ray import ClusterConfig, ReplicaConfig, app
from realtts_ray.config import read_config
from realtts_ray.mapper import _RESULT

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference/ray.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to/cluster.md").read_text(encoding="utf-8")


def rows(heading):
    """Rows of the table below a heading."""
    section = REFERENCE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "model"), [("The application", ClusterConfig), ("Settings of a provider", ReplicaConfig)]
)
def test_every_setting_is_described(heading, model):
    """In order, with its default and its meaning."""
    expected = [
        (name, "" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`", field.description)
        for name, field in model.model_fields.items()
    ]
    assert rows(heading) == expected


def test_every_column_is_described():
    """In order."""
    assert [name for name, *_ in rows("SpeechMapper")] == _RESULT.names


def test_the_commands_of_the_guide_are_right():
    """Arguments of `serve run` and of the YAML file."""
    commands = re.findall(r"^serve run realtts_ray:app ([^#\n]*)", GUIDE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        read_config(dict(each.split("=", 1) for each in shlex.split(command)))
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (application,) = yaml.safe_load(text)["applications"]
    assert application["import_path"] == "realtts_ray:app"
    assert read_config(application["args"]).default == "qwen3"
    assert app(application["args"])  # Serve takes it all
