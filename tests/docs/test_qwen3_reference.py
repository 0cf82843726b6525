"""docs/reference/qwen3.md describes every option of the plugin."""

import re
from pathlib import Path

import pytest

pytest.importorskip("realtts_qwen3")

from realtts_qwen3 import spec
from realtts_qwen3.options import Qwen3Options

PAGE = (Path(__file__).parents[2] / "docs/reference/qwen3.md").read_text(encoding="utf-8")


def test_every_option_is_described():
    """The table has every option in order, with its default and the ends of its range."""
    table = PAGE.split("## Options\n")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (`\w+` \| .*) \|$", table, re.MULTILINE)]
    assert [row[0].strip("`") for row in rows] == list(Qwen3Options.model_fields)
    schema = Qwen3Options.model_json_schema()["properties"]
    for (name, _, default, limits, meaning), about in zip(rows, schema.values(), strict=True):
        assert default == f"`{about['default']!r}`", name
        for choice in (about, *about.get("anyOf", ())):
            for end in ("minimum", "maximum", "exclusiveMinimum", "maxLength"):
                assert str(choice.get(end, "")) in limits, name
        assert meaning, name


def test_facts_of_the_spec_are_right():
    """Capabilities, sample rate, checkpoints, languages and licence are the spec's."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| capabilities |"))
    assert set(re.findall(r"`(\w+)`", row)) == spec.capabilities
    assert f"| sample rate | {spec.sample_rates[0]} Hz |" in PAGE
    assert all(f"`{checkpoint.name}`" in PAGE for checkpoint in spec.checkpoints)
    assert all(f"`{language}`" in PAGE for language in spec.languages)
    assert spec.licence in PAGE
