"""The pages about the server say what it does."""

from __future__ import annotations

import re
from pathlib import Path

from realtts.cli.app import make_parser
from realtts_http.bodies import SpeechBody
from realtts_http.config import ServeConfig

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference/server.md").read_text(encoding="utf-8")


def test_every_setting_is_described():
    """In order, with its default and its meaning."""
    rows = re.findall(r"^\| `(\w+)` \| `(.*)` \| (.*) \|$", REFERENCE, re.MULTILINE)
    fields = ServeConfig.model_fields
    expected = [
        (name, repr(field.get_default(call_default_factory=True)), field.description) for name, field in fields.items()
    ]
    assert rows[: len(expected)] == expected


def test_every_field_of_a_request_is_described():
    """OpenAI's and ours."""
    for name in SpeechBody.model_fields:
        assert f"`{name}`" in REFERENCE, name


def test_every_endpoint_is_described(client):
    """All that the OpenAPI description has."""
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        shown = re.sub(r"\{\w+\}", "{id}", path)
        for method in methods:
            assert f"`{method.upper()} {shown}`" in REFERENCE, path


def test_the_command_is_there():
    """Through the entry point, with an example that names a provider."""
    parser = make_parser(["serve"])
    assert parser.parse_args(["serve", "espeak", "--port", "0"]).providers == ["espeak"]
    guide = (DOCS / "how-to/serve.md").read_text(encoding="utf-8")
    for options in re.findall(r"^realtts (serve .*)$", guide, re.MULTILINE):
        parser.parse_args(options.split())
