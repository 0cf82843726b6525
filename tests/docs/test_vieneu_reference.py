"""docs/reference/vieneu.md describes every option of the plugin."""

import re
from pathlib import Path

import pytest

pytest.importorskip("realtts_vieneu")

from realtts_vieneu import spec
from realtts_vieneu.configurations import CONFIGURATIONS
from realtts_vieneu.options import VieNeuOptions

PAGE = (Path(__file__).parents[2] / "docs/reference/vieneu.md").read_text(encoding="utf-8")


def test_every_option_is_described():
    """The table has every option in order, with its default and the ends of its range."""
    table = PAGE.split("## Options\n")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (`\w+` \| .*) \|$", table, re.MULTILINE)]
    assert [row[0].strip("`") for row in rows] == list(VieNeuOptions.model_fields)
    schema = VieNeuOptions.model_json_schema()["properties"]
    for (name, _, default, limits, meaning), about in zip(rows, schema.values(), strict=True):
        assert default == f"`{about['default']!r}`", name
        for choice in (about, *about.get("anyOf", ())):
            for end in ("minimum", "maximum", "exclusiveMinimum", "maxLength"):
                assert str(choice.get(end, "")) in limits, name
        assert meaning, name


def test_facts_of_the_spec_are_right():
    """Capabilities, sample rates, checkpoints, languages, forms and licence are the spec's."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| capabilities |"))
    assert set(re.findall(r"`(\w+)`", row)) == spec.capabilities
    assert "| sample rate | {} Hz; v3 Turbo {} Hz |".format(*spec.sample_rates) in PAGE
    assert all(f"`{checkpoint.name}`" in PAGE for checkpoint in spec.checkpoints)
    assert all(f"`{language}`" in PAGE for language in spec.languages)
    assert all(f"`{configuration.prompt}`" in PAGE for configuration in CONFIGURATIONS.values())
    assert spec.licence in PAGE
    least, most = spec.reference_seconds
    assert f"{least:g} to {most:g} s" in PAGE
