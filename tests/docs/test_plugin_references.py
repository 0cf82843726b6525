"""docs/reference/<plugin>.md describes every option of each plugin, and its spec."""

import importlib
import re
from pathlib import Path

import pytest

from realtts.synthesis.validate import options_class

PLUGINS = ("espeak", "hibari", "kokoro", "piper", "remote", "chatterbox", "f5", "qwen3", "vieneu")
ENDS = ("minimum", "maximum", "exclusiveMinimum", "maxLength")


@pytest.fixture(params=PLUGINS)
def name(request):
    """Of each plugin that is installed."""
    pytest.importorskip(f"realtts_{request.param}")
    return request.param


@pytest.fixture
def page(name):
    """Its reference."""
    return (Path(__file__).parents[2] / f"docs/reference/{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def spec(name):
    """Its spec."""
    return importlib.import_module(f"realtts_{name}").spec


def test_every_option_is_described(page, spec):
    """The table has every option in order, with its default, the ends of its range and its choices."""
    table = page.split("## Options\n")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (`\w+` \| .* \| .* \| .* \| .*) \|$", table, re.MULTILINE)]
    schema = options_class(spec).model_json_schema()["properties"]
    assert [row[0].strip("`") for row in rows] == list(schema)
    for (option, kind, default, limits, meaning), about in zip(rows, schema.values(), strict=True):
        assert default == f"`{about['default']!r}`", option
        for choice in (about, *about.get("anyOf", ())):
            assert all(str(choice.get(end, "")) in limits for end in ENDS), option
            assert all(value in kind + limits for value in choice.get("enum", ())), option
        assert meaning, option


def test_facts_of_the_spec_are_right(page, spec):
    """Capabilities, sample rates, checkpoints, languages and licence are the spec's."""
    row = next(line for line in page.splitlines() if line.startswith("| capabilities |"))
    assert set(re.findall(r"`(\w+)`", row)) == spec.capabilities
    row = next(line for line in page.splitlines() if line.startswith("| sample rate |"))
    assert tuple(map(int, re.findall(r"(\d+) Hz", row))) == spec.sample_rates
    assert all(f"`{checkpoint.name}`" in page for checkpoint in spec.checkpoints)
    assert spec.licence in page


@pytest.mark.parametrize("name", ["hibari", "kokoro", "qwen3", "vieneu"], indirect=True)
def test_languages_are_named(page, spec):
    """Where they are few."""
    assert all(f"`{language}`" in page for language in spec.languages)


@pytest.mark.parametrize("name", ["f5"], indirect=True)
def test_f5s_presets_and_files_are_described(page, spec):
    """Each preset with its number of steps, each checkpoint with its source, file and licence."""
    from realtts_f5.configurations import CONFIGURATIONS
    from realtts_f5.options import PRESETS

    assert all(f"| `{name}` | {steps} |" in page for name, steps in PRESETS.items())
    for checkpoint in spec.checkpoints:
        weights = CONFIGURATIONS[checkpoint.name].weights[0]
        assert f"| `{checkpoint.name}` | `{checkpoint.source}`, `{weights}` |" in page
        assert checkpoint.licence in page
    assert all(f"`{name}`" in page for name in CONFIGURATIONS)


@pytest.mark.parametrize("name", ["vieneu"], indirect=True)
def test_vieneus_forms_are_described(page, spec):
    """With what a recording may last."""
    from realtts_vieneu.configurations import CONFIGURATIONS

    assert all(f"`{configuration.prompt}`" in page for configuration in CONFIGURATIONS.values())
    least, most = spec.reference_seconds
    assert f"{least:g} to {most:g} s" in page
