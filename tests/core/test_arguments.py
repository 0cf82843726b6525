"""What upstream packages call otherwise, and what stands in the wrong place, is told where it belongs."""

import inspect

import pytest

from realtts import InvalidPlugin, RealProvider, Settings, SettingsError, UnknownOption, errors
from realtts.settings_sources import resolve_settings
from realtts.testing import fake_spec
from realtts.wire.specs import spec_from_json, spec_to_json

NAMED = fake_spec(upstream_names={"gain": "loudness", "solver": "leave it out: there is one", "wobble": "compile"})


@pytest.fixture
def tts():
    """A provider whose package has names of its own."""
    with RealProvider(NAMED) as tts:
        yield tts


REQUEST = {
    "ref_text": "reference_text=",
    "prompt_text": "reference_text=",
    "ref_audio": "voice=",
    "ref_file": "voice=",
    "audio_prompt_path": "voice=",
    "speaker_wav": "voice=",
    "language_id": "language=",
    "Ref_Text": "reference_text=",
    "use_compilation": "compile=",
    "attn_implementation": "attention=",
    "torch_dtype": "dtype=",
    "device_map": "device=",
    "ckpt_file": "model=",
    "gain": "loudness=",
    "wobble": "compile=",
}


@pytest.mark.parametrize("name", REQUEST, ids=str)
def test_generate_is_told_our_name(tts, name):
    """In every way of speaking; and where it is given."""
    for method in (tts.generate, tts.stream, lambda text, **options: tts.generate_batch([text], **options)):
        with pytest.raises(UnknownOption) as caught:
            method("Hello.", **{name: "x"})
        assert f"here it is {REQUEST[name]}" in caught.value.what
        assert REQUEST[name] in caught.value.fix


def test_a_name_without_a_counterpart_is_an_instruction(tts):
    """What upstream can be told and needs not."""
    with pytest.raises(UnknownOption, match="no option 'solver'") as caught:
        tts.generate("Hello.", solver="euler")
    assert caught.value.fix == "leave it out: there is one"


@pytest.mark.parametrize("name", ["device", "dtype", "compile", "cpu_offload", "threads", "strict"])
def test_a_setting_given_to_generate_is_told_its_place(tts, name):
    """It is not misspelt: it belongs to `RealProvider`."""
    with pytest.raises(UnknownOption) as caught:
        tts.generate("Hello.", **{name: 1})
    assert "did you mean" not in caught.value.what
    assert f"RealProvider() as {name}=" in caught.value.fix


@pytest.mark.parametrize("name", ["voice", "reference_text", "seed", "speed", "text"])
def test_an_argument_of_generate_given_to_the_provider_is_told_its_place(name):
    """As keyword, in `Settings` and in the environment."""
    for make in (
        lambda: RealProvider(NAMED, **{name: "x"}),
        lambda: Settings(**{name: "x"}),
        lambda: resolve_settings(environ={f"REALTTS_{name.upper()}": "x"}),
    ):
        with pytest.raises(SettingsError, match="unknown setting") as caught:
            make()
        assert "generate()" in caught.value.fix


@pytest.mark.parametrize("name", ["use_compilation", "enable_cuda_graphs", "ref_text", "num_threads", "flash_attn"])
def test_settings_are_told_our_name(name):
    """Upstream's names of settings."""
    with pytest.raises(SettingsError, match="here it is"):
        RealProvider(NAMED, **{name: True})


@pytest.mark.parametrize("name", list(NAMED.options.model_fields))
def test_an_option_given_to_the_provider_is_told_its_place(name):
    """It is known whose option it is."""
    with pytest.raises(SettingsError, match="is an option of the provider") as caught:
        RealProvider(NAMED, **{name: 1})
    assert f"generate() as {name}=" in caught.value.fix


@pytest.mark.parametrize("name", ["gen_text", "input", "tts_text", "target_text", "sentence"])
def test_a_text_under_another_name(tts, name):
    """Python's own error would not say what it is called here."""
    for method in (tts.generate, tts.stream, tts.generate_batch, tts.astream):
        with pytest.raises(UnknownOption, match=rf"there is no '{name}': here it is texts?="):
            method(**{name: "Hello."})
    with pytest.raises(UnknownOption, match="here it is text="):
        tts.agenerate(**{name: "Hello."}).send(None)


def test_calls_without_a_text_or_with_too_much(tts):
    """Typed, and what to do; and the methods keep their signatures and kinds."""
    with pytest.raises(errors.InvalidOption, match="the text is missing"):
        tts.generate()
    with pytest.raises(errors.InvalidOption, match="the texts is missing"):
        tts.generate_batch(voice="low")
    with pytest.raises(errors.InvalidOption, match="3 were given") as caught:
        tts.generate("speaker.wav", "What it says.", "What to say.")
    assert "reference_text=" in caught.value.fix
    assert next(iter(inspect.signature(tts.generate).parameters)) == "text"
    assert inspect.iscoroutinefunction(tts.agenerate)


def test_names_travel_to_processes_without_the_plugin():
    """A parent that only has the spec tells the same."""
    spec = spec_from_json(spec_to_json(NAMED))
    assert spec == NAMED or spec.upstream_names == NAMED.upstream_names
    with RealProvider(spec) as tts, pytest.raises(UnknownOption, match="here it is loudness="):
        tts.generate("Hello.", gain=1)


@pytest.mark.parametrize("wrong", [(("a",),), (("a", ""),), ((1, "b"),), "ab", ("ab",)])
def test_wrong_pairs_are_refused(wrong):
    """At registration, by field."""
    with pytest.raises(InvalidPlugin, match="upstream_names"):
        fake_spec(upstream_names=wrong)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("laguage", "language"),
        ("langauge", "language"),
        ("seeds", "seed"),
        ("sped", "speed"),
        ("voise", "voice"),
        ("reference_txt", "reference_text"),
        ("normalise_", "normalize"),
        ("timestamp", "timestamps"),
        ("check_word", "check_words"),
    ],
)
def test_a_misspelt_argument_of_every_provider_is_named(tts, name, meant):
    """It is no option of the provider, and the error says where it belongs."""
    with pytest.raises(UnknownOption, match=f"did you mean '{meant}'") as caught:
        tts.generate("Hello.", **{name: "x"})
    assert f"as {meant}=" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("format", "Speech.encode() as format="),
        ("response_format", "Speech.encode() as format="),
        ("output", "speech.save("),
        ("file_path", "speech.save("),
        ("out", "-o FILE"),
        ("stream", "call stream()"),
        ("timeout", "request_timeout_s="),
    ],
)
def test_what_belongs_to_another_call_is_told_there(tts, name, fix):
    """No option of another kind is offered for it."""
    for call in (lambda: tts.generate("Hello.", **{name: "x"}), lambda: RealProvider(NAMED, **{name: "x"})):
        with pytest.raises((UnknownOption, SettingsError)) as caught:
            call()
        assert "did you mean" not in str(caught.value)
        assert fix in caught.value.fix


@pytest.mark.parametrize("name", ["x" * 5000, "é" * 200, "a" * 300])
def test_a_provider_of_a_very_long_name_is_unknown(name):
    """As any other name that nobody has."""
    with pytest.raises(errors.UnknownProvider) as caught:
        RealProvider(name)
    assert len(str(caught.value)) < 1000


def test_a_setting_that_cannot_be_shown_is_wrong_all_the_same():
    """Whatever was given instead of a value."""

    class Odd:
        """Cannot be shown."""

        def __repr__(self):
            raise RuntimeError("no")

    for name in ("dtype", "device", "threads", "quantization", "precision_policy", "strict"):
        with pytest.raises(SettingsError, match="cannot be shown"):
            Settings(**{name: Odd()})
