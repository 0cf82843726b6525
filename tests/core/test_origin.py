"""A plugin's own error is told with file and line of the plugin's code, wherever it came from."""

import pytest

from realtts import RealProvider, errors
from realtts.registry import providers as registry
from realtts.registry.extensions import discover_extensions

HEAD = """
import numpy as np
from realtts import Chunk, ProviderSpec, hookimpl
from realtts.testing import fake_spec

class Plain:
    @hookimpl
    def load(self, context):
        return self.helper("load")

    def helper(self, stage):
        if stage == STAGE:
            raise RuntimeError("it broke in " + stage)  # here
        return stage

    @hookimpl
    def warmup(self, context, model):
        self.helper("warmup")

    @hookimpl
    def generate(self, context, model, request):
        if STAGE == "numpy":
            np.ones(3) @ np.ones(4)  # numpy
        yield Chunk(np.full(2400, 0.1, np.float32), 24000, marks=())
        self.helper("generate")
"""

SPEC = """
spec = ProviderSpec(name="beep", summary="Beeps.", sample_rates=(24000,), plain=__name__ + ":Plain")
"""


def line_of(code, mark):
    """The number of the line that ends in a comment."""
    return next(number for number, line in enumerate(code.splitlines(), 1) if line.endswith(f"# {mark}"))


@pytest.mark.parametrize(
    ("stage", "mark", "function"),
    [
        ("load", "here", "helper"),
        ("warmup", "here", "helper"),
        ("generate", "here", "helper"),
        ("numpy", "numpy", "generate"),
    ],
)
def test_attempts_name_the_plugin_s_line(install, empty, stage, mark, function):
    """In the record and in the message of the error; the innermost line of its own, not of the library it calls."""
    code = f"STAGE = {stage!r}\n{HEAD}{SPEC}"
    module = install("beep", code)
    with RealProvider("beep", strict=False) as tts, pytest.raises(errors.StageFailed) as caught:
        tts.generate("One two three.")
    where = f"{module}.py:{line_of(code, mark)} in {function}"
    attempt = caught.value.attempts[-1]
    assert attempt.origin.endswith(where)
    assert attempt.as_dict()["origin"] == attempt.origin
    assert where in str(caught.value)


IMPORTS = {
    "raises": "def build():\n    raise RuntimeError('half')  # here\nspec = build()\n",
    "missing": "\n\nimport no_such_module_of_anybody  # here\n",
    "syntax": "x = 1\ndef (  # here\n",
    "exits": "import sys\nsys.exit(3)  # here\n",
    "library": "import json\nspec = json.loads('{')  # here\n",
}


@pytest.mark.parametrize("case", IMPORTS, ids=str)
def test_import_names_the_plugin_s_line(install, empty, case):
    """A plugin that cannot be imported is listed with the place."""
    module = install("broken", IMPORTS[case])
    (entry,) = [entry for entry in registry.installed() if entry.name == "broken"]
    assert f"{module}.py:{line_of(IMPORTS[case], 'here')}" in str(entry.error)


def test_constructor_names_the_plugin_s_line(install, empty):
    """A class that cannot be constructed."""
    code = HEAD.replace("class Plain:", "class Plain:\n    def __init__(self):\n        {}['x']  # built\n") + SPEC
    module = install("beep", f"STAGE = ''\n{code}")
    with RealProvider("beep") as tts, pytest.raises(errors.InvalidPlugin) as caught:
        tts.load()
    assert f"{module}.py:{line_of(f'STAGE = {chr(39)}{chr(39)}{chr(10)}{code}', 'built')}" in str(caught.value)


def test_typed_errors_speak_for_themselves(install, empty):
    """An error of realtts that a plugin raises says who, what and the fix; the line adds nothing."""
    code = HEAD.replace('RuntimeError("it broke in " + stage)', 'RealTTSError("no", who="beep", fix="do it")')
    install("beep", f"STAGE = 'load'\nfrom realtts.errors import RealTTSError\n{code}{SPEC}")
    with RealProvider("beep") as tts, pytest.raises(errors.StageFailed) as caught:
        tts.load()
    assert caught.value.attempts[-1].origin == ""


def test_extension_names_its_line(install, empty):
    """A fault of an extension too."""
    code = "class Shout:\n    def prepare_text(self, text, language):\n        return text + 1  # here\nspec = Shout\n"
    module = install("shout", code, group="realtts.extensions")
    with pytest.raises(errors.ExtensionError) as caught:
        discover_extensions().prepare_text("Hello.", None)
    assert f"{module}.py:3 in prepare_text" in str(caught.value)
