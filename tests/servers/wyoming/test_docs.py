"""The pages about the server say what it does."""

from __future__ import annotations

import re
from pathlib import Path

from realtts.cli.app import make_parser
from realtts_wyoming import WyomingConfig

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference/wyoming.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to/home-assistant.md").read_text(encoding="utf-8")
SOURCES = Path(__file__).parents[3] / "servers/wyoming/src/realtts_wyoming"


def test_every_setting_is_described():
    """In order, with its default and its meaning."""
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \| (.*) \|$", REFERENCE, re.MULTILINE)
    fields = WyomingConfig.model_fields
    expected = [
        (name, repr(field.get_default(call_default_factory=True)), field.description) for name, field in fields.items()
    ]
    assert rows[: len(expected)] == expected


def test_every_code_of_the_servers_own_is_described():
    """All that its sources answer with."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py"))
    codes = set(re.findall(r'Refusal\(\s*"(\w+)"', text))
    assert codes == {"invalid_event", "text_too_long", "text_timeout", "busy", "shutting_down"}
    assert all(f"`{code}`" in REFERENCE for code in codes)


def test_the_commands_are_there():
    """All that the guide shows, three of them at its beginning."""
    commands = re.findall(r"^realtts (wyoming .*)$", GUIDE, re.MULTILINE)
    assert len(commands) >= 2
    for options in commands:
        make_parser(["wyoming"]).parse_args(options.split())
    assert len(GUIDE.partition("```bash\n")[2].partition("```")[0].splitlines()) == 3
