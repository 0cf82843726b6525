"""One setting over precisions: what it means, what wins over it, and what contradicts it."""

import pytest

from realtts import RealProvider, Rung, Settings, SettingsError
from realtts.contract.hooks import hookimpl
from realtts.settings_sources import resolve_settings
from realtts.testing import FakeProvider, fake_spec

SEEN = []


class Watching(FakeProvider):
    """A variant that keeps the context of its load."""

    @hookimpl
    def load(self, context):
        """Keep it."""
        SEEN.append(context)
        return super().load(context)


class Headstrong(Watching):
    """A variant that proposes half precision whatever is asked."""

    @hookimpl
    def rungs(self, context):
        """Propose it first."""
        return (
            Rung("bf16", {"dtype": "bf16"}),
            Rung("int8", {"quantization": "int8"}),
            Rung("mine", {"compile": False}),
        )


def loaded(variant=Watching, **settings):
    """The context in which a provider on torch was loaded, and its status."""
    spec = fake_spec(optimized=f"{__name__}:{variant.__name__}", torch=False)
    with RealProvider(spec, isolation="never", **settings) as tts:
        tts.load()
        return SEEN[-1], tts.get_provider_status()


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"dtype": "float32"},
        {"dtype": "torch.float32"},
        {"dtype": "auto"},
        {"quantization": "none"},
        {"quantization": "auto"},
        {"tf32": False},
        {"matmul_precision": "highest"},
        {"compile": False, "threads": 2},
    ],
)
def test_exact_is_float32_everywhere(beside):
    """Whatever else is named that agrees with it."""
    context, _ = loaded(precision_policy="exact", **beside)
    settings = context.settings
    assert (context.dtype, settings.dtype, settings.quantization, settings.tf32) == (
        "float32",
        "float32",
        "none",
        False,
    )


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("dtype", "bfloat16", "dtype='bfloat16'"),
        ("dtype", "half", "dtype='float16'"),
        ("quantization", "int8", "quantization='int8'"),
        ("quantization", "int4", "quantization='int4'"),
        ("tf32", True, "tf32=True"),
        ("matmul_precision", "high", "matmul_precision='high'"),
        ("matmul_precision", "medium", "matmul_precision='medium'"),
    ],
)
def test_what_contradicts_exact_is_named(name, value, shown):
    """Both of the two, from whichever place they come, and a fix that works."""
    with pytest.raises(SettingsError, match="contradicts precision_policy='exact'") as error:
        Settings(precision_policy="exact", **{name: value})
    assert shown in error.value.what
    with pytest.raises(SettingsError) as error:
        resolve_settings("f5", {name: value}, environ={"REALTTS_PRECISION_POLICY": "exact", "REALTTS_CONFIG": ""})
    assert shown in error.value.what
    assert "REALTTS_PRECISION_POLICY" in error.value.what
    assert name in str(error.value.who)
    assert getattr(Settings(precision_policy="balanced", **{name: value}), name) is not None


@pytest.mark.parametrize("policy", ["balanced", "fast"])
@pytest.mark.parametrize(
    "named", [{"dtype": "bf16"}, {"dtype": "float32"}, {"quantization": "none"}, {"quantization": "int4"}, {}]
)
def test_what_is_named_wins_over_the_others(policy, named):
    """They are preferences, not promises."""
    settings = Settings(precision_policy=policy, **named)
    plain = Settings(**named)
    assert (settings.dtype, settings.quantization, settings.tf32) == (plain.dtype, plain.quantization, plain.tf32)


@pytest.mark.parametrize("stronger", ["balanced", "fast"])
def test_a_stronger_layer_changes_the_policy_and_what_it_meant(stronger):
    """Values that follow from a policy go with it."""
    layers = resolve_settings("f5", {"precision_policy": stronger}, Settings(precision_policy="exact"), environ={})
    assert layers.settings == Settings(precision_policy=stronger)


def test_the_default_is_balanced_and_other_words_are_refused():
    """With the three that there are."""
    assert Settings().precision_policy == "balanced"
    for word in ("best", "Exact", "", "quality", 1):
        with pytest.raises(SettingsError, match="'exact', 'balanced' or 'fast'"):
            Settings(precision_policy=word)


def test_rungs_that_break_an_exact_policy_are_passed_over():
    """A plugin may propose what it likes: the reason is on record, and a rung that keeps the promise speaks."""
    context, status = loaded(Headstrong, precision_policy="exact")
    assert (context.rung.name, context.dtype, context.settings.quantization) == ("mine", "float32", "none")
    assert [(attempt["rung"], attempt["stage"]) for attempt in status["attempts"]] == [
        ("bf16", "probe"),
        ("int8", "probe"),
    ]
    assert all("precision_policy='exact'" in attempt["message"] for attempt in status["attempts"])
    context, status = loaded(Headstrong)
    assert (context.rung.name, context.dtype, status["attempts"]) == ("bf16", "bfloat16", [])


@pytest.mark.parametrize("value", ["off", "false", "0", False])
def test_native_kernels_are_switched_off(value):
    """From the environment too."""
    assert Settings(native=value).native is False
    assert resolve_settings(None, {}, environ={"REALTTS_NATIVE": str(value)}).settings.native is False
