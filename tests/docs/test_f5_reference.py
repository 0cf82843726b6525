"""docs/reference/f5.md describes every option of the plugin."""

import re
from pathlib import Path

import pytest

pytest.importorskip("realtts_f5")

from realtts_f5 import spec
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.options import PRESETS, F5Options

PAGE = (Path(__file__).parents[2] / "docs/reference/f5.md").read_text(encoding="utf-8")


def test_every_option_is_described():
    """The table has every option in order, with its default and the ends of its range."""
    rows = [row.split(" | ") for row in re.findall(r"^\| (`\w+` \| .* \| .* \| .* \| .*) \|$", PAGE, re.MULTILINE)]
    assert [row[0].strip("`") for row in rows] == list(F5Options.model_fields)
    schema = F5Options.model_json_schema()["properties"]
    for (name, _, default, limits, meaning), about in zip(rows, schema.values(), strict=True):
        assert default == f"`{about['default']!r}`", name
        for choice in (about, *about.get("anyOf", ())):
            for end in ("minimum", "maximum", "exclusiveMinimum"):
                assert str(choice.get(end, "")) in limits, name
            assert all(value in limits for value in choice.get("enum", ())), name
        assert meaning, name


def test_presets_are_described():
    """Each with its number of steps."""
    assert all(f"| `{name}` | {steps} |" in PAGE for name, steps in PRESETS.items())


def test_facts_of_the_spec_are_right():
    """Capabilities, sample rate, checkpoints with their sources and files, and licence are the spec's."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| capabilities |"))
    assert set(re.findall(r"`(\w+)`", row)) == spec.capabilities
    assert f"| sample rate | {spec.sample_rates[0]} Hz |" in PAGE
    for checkpoint in spec.checkpoints:
        weights = CONFIGURATIONS[checkpoint.name].weights[0]
        assert f"| `{checkpoint.name}` | `{checkpoint.source}`, `{weights}` |" in PAGE
        assert checkpoint.licence in PAGE
    assert all(f"`{name}`" in PAGE for name in CONFIGURATIONS)
    assert spec.licence in PAGE
