"""docs/reference/settings.md names every setting with its default, and every legacy variable."""

import re
from pathlib import Path

from realtts import settings, settings_sources

PAGE = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text(encoding="utf-8")


def rows(heading):
    """The cells of every row of the table under a heading, by the name in the first one."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def test_every_setting_is_described():
    """The table has every field in order, with its default and a meaning."""
    described = rows("Fields")
    assert list(described) == list(settings.Settings.model_fields)
    for name, field in settings.Settings.model_fields.items():
        kind, default, meaning = described[name]
        assert kind, name
        assert default == f"`{field.default!r}`", name
        assert meaning.endswith("."), name


def test_every_choice_is_described():
    """Every word that a field with a choice takes stands in its row."""
    schema = settings.Settings.model_json_schema()["properties"]
    described = rows("Fields")
    for name, about in schema.items():
        branches = [about, *about.get("anyOf", [])]
        for word in {word for branch in branches for word in (*branch.get("enum", []), branch.get("const"))} - {None}:
            assert f"`{word}`" in described[name][0], (name, word)


def test_every_variable_is_read():
    """Every field has the variable that the page derives from its name."""
    assert "`REALTTS_` and the field's name in capitals" in PAGE
    for name, (_, default, _) in rows("Fields").items():
        if default.strip("`") not in {"None", "False", "True"}:
            value = default.strip("`'")
            layers = settings_sources.resolve_settings(environ={f"REALTTS_{name.upper()}": value})
            assert name in layers.sources, name


def test_every_legacy_variable_is_described():
    """The table of legacy variables has each with its field, its provider and whether it is inverted."""
    described = rows("Legacy variables")
    assert set(described) == set(settings_sources._LEGACY)
    for name, legacy in settings_sources._LEGACY.items():
        field, provider, note = described[name]
        assert field == f"`{legacy.field}`", name
        assert provider == (legacy.provider or "all"), name
        assert ("inverted" in note) == legacy.invert, name
