"""Faults of a plugin are found at registration, by name and with the fix."""

from dataclasses import replace

import numpy as np
import pytest

from realtts import Chunk, InvalidPlugin, ProviderSpec, RealProvider, Rung, hookimpl
from realtts.errors import BrokenProvider
from realtts.registry.variants import register

SPEC = ProviderSpec(name="sample", summary="A provider for tests", sample_rates=(8000,), plain="filled.in:Later")


class Good:
    """A provider without faults."""

    @hookimpl
    def load(self, context):
        """Load."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Speak."""
        yield Chunk(np.full(800, 0.1, np.float32), 8000)


def publish(monkeypatch, plain, optimized=None):
    """A spec whose import paths lead to these objects."""
    import realtts.testing.faults as home

    monkeypatch.setattr(home, "Plain", plain, raising=False)
    monkeypatch.setattr(home, "Optimized", optimized, raising=False)
    base = f"{home.__name__}:"
    return replace(SPEC, plain=f"{base}Plain", optimized=f"{base}Optimized" if optimized else None)


class NoDecorator(Good):
    """A hook's name without the decorator."""

    def warmup(self, context, model):
        """Not marked."""


class Misspelt(Good):
    """A hook that does not exist."""

    @hookimpl
    def warm_up(self, context, model):
        """Misspelt."""


class ExtraParameter(Good):
    """A parameter that the hook does not have."""

    @hookimpl
    def compile(self, context, model, mode):
        """One too many."""


class KeywordOnly(Good):
    """pluggy passes by position."""

    @hookimpl
    def warmup(self, context, *, model):
        """Keyword-only."""


class VarKeyword(Good):
    """Arguments would vanish."""

    @hookimpl
    def warmup(self, **everything):
        """Swallows."""


class WithDefault(Good):
    """pluggy leaves parameters with defaults out."""

    @hookimpl
    def generate(self, context, model, request=None):
        """A default."""


class TryFirst(Good):
    """An order among implementations that are alone."""

    @hookimpl(tryfirst=True)
    def warmup(self, context, model):
        """First of one."""


class TryLast(Good):
    """An order among implementations that are alone."""

    @hookimpl(trylast=True)
    def warmup(self, context, model):
        """Last of one."""


class Wrapper(Good):
    """Wrappers would see calls that are not theirs."""

    @hookimpl(wrapper=True)
    def warmup(self, context, model):
        """Wraps."""
        return (yield)


class OldWrapper(Good):
    """The older form of a wrapper."""

    @hookimpl(hookwrapper=True)
    def warmup(self, context, model):
        """Wraps."""
        yield


class AsyncGenerate(Good):
    """An async generator."""

    @hookimpl
    async def generate(self, context, model, request):
        """Async."""
        yield None


class AsyncLoad(Good):
    """A coroutine."""

    @hookimpl
    async def load(self, context):
        """Async."""


class NoLoad:
    """No load."""

    @hookimpl
    def generate(self, context, model, request):
        """Speak."""
        yield from ()


class NoGenerate:
    """No generate."""

    @hookimpl
    def load(self, context):
        """Load."""


class NeedsArguments(Good):
    """A constructor with arguments."""

    def __init__(self, folder):
        self.folder = folder


class FailsToConstruct(Good):
    """A constructor that raises."""

    def __init__(self):
        raise OSError("no driver")


FAULTS = {
    "no decorator": (NoDecorator, "warmup has no decorator", "@hookimpl"),
    "misspelt": (Misspelt, "did you mean 'warmup'", "load"),
    "extra parameter": (ExtraParameter, "'mode' is not one of the hook's", "compile(self, context, model)"),
    "keyword-only": (KeywordOnly, "'model' is keyword-only", "warmup(self, context, model)"),
    "variadic": (VarKeyword, "'everything' is variadic keyword", "warmup(self, context, model)"),
    "default": (WithDefault, "'request' has a default", "generate(self, context, model, request)"),
    "tryfirst": (TryFirst, "tryfirst", "exactly one implementation"),
    "trylast": (TryLast, "trylast", "exactly one implementation"),
    "wrapper": (Wrapper, "wrapper", "exactly one implementation"),
    "hookwrapper": (OldWrapper, "hookwrapper", "exactly one implementation"),
    "async generate": (AsyncGenerate, "it is async", "plain function or generator"),
    "async load": (AsyncLoad, "it is async", "plain function or generator"),
    "no load": (NoLoad, "load is missing", "def load(self, context)"),
    "no generate": (NoGenerate, "generate is missing", "def generate(self, context, model, request)"),
    "constructor arguments": (NeedsArguments, "TypeError", "without arguments"),
    "constructor raises": (FailsToConstruct, "no driver", "without arguments"),
    "not a class": (lambda: None, "is not a class", "name a class"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault_of_plain_is_named_with_its_fix(monkeypatch, fault):
    """Each fault of the plain variant is an InvalidPlugin that names the provider, the fault and the fix."""
    cls, what, fix = FAULTS[fault]
    with pytest.raises(InvalidPlugin) as caught:
        register(publish(monkeypatch, cls))
    assert "sample" in caught.value.who
    assert what in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize("fault", [f for f in FAULTS if not f.startswith("no ") or f == "no decorator"], ids=str)
def test_fault_of_optimized_is_named_too(monkeypatch, fault):
    """The optimized variant is held to the same rules, only that it may leave hooks out."""
    with pytest.raises(InvalidPlugin):
        register(publish(monkeypatch, Good, FAULTS[fault][0]))


def test_fault_reaches_the_user_of_the_facade(monkeypatch):
    """RealProvider raises the same error, before any audio, and reports the state."""
    provider = RealProvider(publish(monkeypatch, Misspelt))
    with pytest.raises(InvalidPlugin, match="warmup"):
        provider.generate("Hello")
    assert provider.get_provider_status()["state"] == "failed"
    provider.close()


def test_optimized_may_leave_hooks_out(monkeypatch):
    """A hook that optimized lacks is plain's; one that it has is its own, and plain's is not called."""

    class Quick:
        """Only a warm-up."""

        @hookimpl
        def warmup(self, context, model):
            """Marks itself."""

    variants = register(publish(monkeypatch, Good, Quick))
    assert variants.implements("optimized", "generate")
    assert not variants.defines("optimized", "generate")
    assert variants.implements("optimized", "warmup")
    assert not variants.implements("plain", "warmup")


def test_exactly_one_implementation_runs(monkeypatch):
    """Return values never select: optimized's None stands, and plain's hook is not asked."""
    calls = []

    class Plain(Good):
        """Counts."""

        @hookimpl
        def compile(self, context, model):
            """Count."""
            calls.append("plain")

    class Optimized:
        """Counts."""

        @hookimpl
        def compile(self, context, model):
            """Count."""
            calls.append("optimized")

    spec = publish(monkeypatch, Plain, Optimized)
    with RealProvider(spec) as provider:
        provider.load()
    assert calls == ["optimized"]
    with RealProvider(spec, optimize=False) as provider:
        provider.load()
    assert calls == ["optimized", "plain"]


def test_two_providers_do_not_see_each_other(monkeypatch):
    """Each provider has a plugin manager of its own."""
    first, second = register(publish(monkeypatch, Good)), register(publish(monkeypatch, Good))
    assert first.call("plain", "load", context=None) is not second.call("plain", "load", context=None)


def test_specname_static_and_class_methods(monkeypatch):
    """A hook may be implemented under another name, and as a static or class method."""

    class Unusual:
        """Unusual, and allowed."""

        @hookimpl(specname="load")
        def fetch(self, context):
            """Load under another name."""
            return "model"

        @staticmethod
        @hookimpl
        def generate(context, model, request):
            """Speak."""
            yield Chunk(np.full(800, 0.1, np.float32), 8000)

        @classmethod
        @hookimpl
        def unload(cls, context, model):
            """Unload."""

        constant = 3

    with RealProvider(publish(monkeypatch, Unusual)) as provider:
        assert provider.generate("Hello").duration == pytest.approx(0.1)


def test_a_hook_may_take_fewer_parameters(monkeypatch):
    """Parameters that are not needed may be left out."""

    class Short:
        """Takes what it needs."""

        @hookimpl
        def load(self):
            """Load."""
            return object()

        @hookimpl
        def generate(self, request):
            """Speak."""
            yield Chunk(np.full(800, 0.1, np.float32), 8000)

    with RealProvider(publish(monkeypatch, Short)) as provider:
        assert provider.generate("Hello").duration == pytest.approx(0.1)


def test_plain_that_cannot_be_imported_is_broken():
    """The error names provider, import path and reason."""
    with pytest.raises(BrokenProvider, match=r"no_such_module"):
        register(replace(SPEC, plain="no_such_module:Plain"))


def test_attribute_of_an_import_path_is_suggested():
    """A misspelt class is an error that names the closest."""
    with pytest.raises(BrokenProvider, match="did you mean 'FakeProvider'"):
        register(replace(SPEC, plain="realtts.testing.fake:FakeProvidr"))


def test_optimized_that_cannot_be_imported_is_an_attempt(monkeypatch):
    """The plain variant speaks, and the record says what is missing."""
    spec = replace(publish(monkeypatch, Good), optimized="no_such_module:Fast")
    with RealProvider(spec) as provider:
        assert provider.generate("Hello").duration == pytest.approx(0.1)
        (attempt,) = provider.get_provider_status()["attempts"]
    assert (attempt["variant"], attempt["stage"]) == ("optimized", "load")
    assert attempt["exception"] == "ModuleNotFoundError"
    assert "install" in attempt["remedy"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "Upper Case"}, "name"),
        ({"name": ""}, "name"),
        ({"summary": "  "}, "summary"),
        ({"sample_rates": ()}, "sample_rates"),
        ({"sample_rates": (44100.0,)}, "sample_rates"),
        ({"sample_rates": (True,)}, "sample_rates"),
        ({"plain": "no colon"}, "plain"),
        ({"plain": None}, "plain"),
        ({"optimized": "module:1Class"}, "optimized"),
        ({"options": 3}, "options"),
        ({"capabilities": {"clones"}}, "did you mean 'clone'"),
        ({"reference_text": "maybe"}, "reference_text"),
        ({"max_chars": 3}, "max_chars"),
    ],
    ids=str,
)
def test_wrong_field_of_a_spec_is_named(change, what):
    """A spec is checked when it is made."""
    with pytest.raises(InvalidPlugin, match=what):
        replace(SPEC, **change)


def test_spec_is_frozen_and_hashable():
    """Lists and sets are accepted and frozen, so that a spec can be shared and used as a key."""
    spec = replace(SPEC, sample_rates=[8000, 16000], capabilities={"clone"}, languages=["en"])
    assert spec.sample_rates == (8000, 16000)
    assert spec.capabilities == frozenset({"clone"})
    assert hash(spec) == hash(replace(spec))


def test_rungs_are_checked(monkeypatch):
    """What `rungs` proposes must be rungs, with settings that exist and values that they allow."""

    def with_rungs(*rungs):
        class Optimized:
            """Proposes."""

            @hookimpl
            def rungs(self, context):
                """Propose."""
                return rungs

        return publish(monkeypatch, Good, Optimized)

    for wrong, what in ((("fast",), "returned str"), ((Rung("x", {"dtype": "int3"}),), "dtype|Input"),
                        ((Rung("x", {"no_such": 1}),), "no_such|Extra")):  # fmt: skip
        with RealProvider(with_rungs(*wrong)) as provider, pytest.raises(InvalidPlugin, match=what):
            provider.load()
