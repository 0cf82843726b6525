"""The conformance suite itself: it finds what is wrong with a provider, and is not talked out of it."""

import subprocess
import sys
import textwrap

import pytest

from realtts.testing import ProviderConformance, fake_spec

HEADER = """
import numpy as np
import pytest
from dataclasses import replace
from realtts import Chunk, hookimpl
from realtts.testing import FakeProvider, ProviderConformance, fake_spec
"""

BODY = """
class TestIt(ProviderConformance):
    @pytest.fixture
    def spec(self):
        return fake_spec(plain="MODULE:Bad", optimized=None, capabilities={"marks"})
"""

FLAWED = {
    "ignores the seed": (
        """
        class Bad(FakeProvider):
            count = 0
            @hookimpl
            def generate(self, context, model, request):
                Bad.count += 1
                yield Chunk(np.full(1600, 0.1 + Bad.count / 1000, np.float32), 16000)
        """,
        {"test_seed_repeats_the_speech", "test_eight_threads"},
    ),
    "ignores cancellation": (
        """
        class Bad(FakeProvider):
            @hookimpl
            def generate(self, context, model, request):
                yield from FakeProvider().generate(context, model, replace(request, cancelled=lambda: False))
        """,
        {"test_cancellation_ends_within_a_step"},
    ),
    "changes global state": (
        """
        class Bad(FakeProvider):
            @hookimpl
            def generate(self, context, model, request):
                np.random.seed(request.seed % 1000)
                np.random.rand()
                yield from FakeProvider().generate(context, model, request)
        """,
        {"test_leaves_no_global_state"},
    ),
    "puts marks outside the audio": (
        """
        class Bad(FakeProvider):
            @hookimpl
            def generate(self, context, model, request):
                for chunk in FakeProvider().generate(context, model, request):
                    yield replace(chunk, marks=tuple(replace(m, end=m.end + 9) for m in chunk.marks))
        """,
        {"test_marks_lie_in_text_and_audio"},
    ),
    "cuts hard into pauses": (
        """
        class Bad(FakeProvider):
            @hookimpl
            def generate(self, context, model, request):
                for number, _ in enumerate(request.text.split()):
                    key = (request.seed + number) % 7
                    wave = np.full(1600, 0.1 + key / 100, np.float32)
                    yield Chunk(np.concatenate([np.zeros(1600 if number else 0, np.float32), wave]), 16000)
        """,
        {"test_joins_do_not_click"},
    ),
    "is too quiet": (
        """
        class Bad(FakeProvider):
            @hookimpl
            def generate(self, context, model, request):
                for chunk in FakeProvider().generate(context, model, request):
                    yield replace(chunk, samples=chunk.samples * np.float32(1e-5))
        """,
        {"test_speaks"},
    ),
    "cannot be loaded twice": (
        """
        class Bad(FakeProvider):
            loads = 0
            @hookimpl
            def load(self, context):
                Bad.loads += 1
                if Bad.loads % 2 == 0:
                    raise RuntimeError("already loaded")
                return FakeProvider().load(context)
        """,
        {"test_unload_and_load_again"},
    ),
}


def test_flawed_providers_do_not_pass(tmp_path):
    """Each flaw is found by the test that is there for it, and a subclass without a spec is told so."""
    expected = set()
    for flaw, (code, tests) in FLAWED.items():
        module = "test_" + flaw.replace(" ", "_")
        body = BODY.replace("MODULE", module)
        (tmp_path / f"{module}.py").write_text(HEADER + textwrap.dedent(code) + body, encoding="utf-8")
        expected |= {f"{module}.py::TestIt::{test}" for test in tests}
    code = HEADER + "\nclass TestIt(ProviderConformance):\n    pass\n"
    (tmp_path / "test_no_spec.py").write_text(code, encoding="utf-8")
    # One process for all of them: starting one costs more than the tests do.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "-p",
        "no:cacheprovider",
    ]
    tests = [*sorted(expected), "test_no_spec.py::TestIt::test_speaks"]
    output = subprocess.run([*command, *tests], cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    failed = {line.split()[1].split("[")[0] for line in output.splitlines() if line.startswith("FAILED ")}
    assert expected == failed, output
    assert "override the fixture 'spec'" in output


def test_override_needs_an_excuse():
    """Only xfail with a reason."""
    with pytest.raises(TypeError, match=r"xfail\(reason="):

        class Sly(ProviderConformance):
            def test_speaks(self):
                """Not tested."""

    with pytest.raises(TypeError, match=r"xfail\(reason="):

        class Silent(ProviderConformance):
            @pytest.mark.xfail
            def test_speaks(self):
                """No reason."""

    with pytest.raises(TypeError, match=r"xfail\(reason="):

        class Gone(ProviderConformance):
            test_speaks = None

    class Honest(ProviderConformance):
        @pytest.mark.xfail(reason="the model whispers")
        def test_speaks(self):
            """Excused."""

        def test_of_its_own(self):
            """Further tests are welcome."""

    assert Honest


class TestBareProvider(ProviderConformance):
    """A provider that can do nothing special: its tests skip, none fails."""

    @pytest.fixture
    def spec(self):
        """No capabilities, languages or options."""
        return fake_spec(capabilities=(), languages=(), options=None)
