"""docs/reference/espeak.md describes every option of the embedded voice."""

import re
from pathlib import Path

import pytest

pytest.importorskip("realtts_espeak")

from realtts_espeak import spec
from realtts_espeak.options import EspeakOptions

PAGE = (Path(__file__).parents[2] / "docs/reference/espeak.md").read_text(encoding="utf-8")


def test_every_option_is_described():
    """The table has every option in order, with its default and the ends of its range."""
    rows = [row.split(" | ") for row in re.findall(r"^\| (`\w+` \| .*) \|$", PAGE, re.MULTILINE)]
    assert [row[0].strip("`") for row in rows] == list(EspeakOptions.model_fields)
    schema = EspeakOptions.model_json_schema()["properties"]
    for (name, _, default, limits, meaning), about in zip(rows, schema.values(), strict=True):
        assert default == f"`{about['default']!r}`", name
        for end in ("minimum", "maximum", "maxLength"):
            assert str(about.get(end, "")) in limits, name
        assert meaning, name


def test_facts_of_the_spec_are_right():
    """Capabilities, sample rate and licence are the spec's."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| capabilities |"))
    assert set(re.findall(r"`(\w+)`", row)) == spec.capabilities
    assert f"| sample rate | {spec.sample_rates[0]} Hz |" in PAGE
    assert spec.licence in PAGE
