"""What `generate` yields is checked and copied: a plugin may use its buffers again, and nobody changes a chunk."""

import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realtts import Chunk, Mark, Voice, VoiceInfo, errors, hookimpl
from realtts.contract.checks import ChunkChecks, check_voices
from realtts.registry.extensions import Extensions
from realtts.voices import reference

RATE = 16_000
LEVELS = [0.1, 0.2, 0.3]


def full(level):
    """A tenth of a second at one level."""
    return np.full(1600, level, np.float32)


@pytest.fixture
def provider(make_provider, tmp_path):
    """Make a provider whose `generate` is a function of the request."""

    def provider(function, batch=None):
        class Plain:
            @hookimpl
            def load(self, context):
                return object()

            @hookimpl
            def generate(self, context, model, request):
                return function(request)

            if batch is not None:

                @hookimpl
                def generate_batch(self, context, model, requests):
                    return batch(requests)

        return make_provider(Plain, spec={"sample_rates": (RATE,)}, data_dir=tmp_path)

    return provider


def one_array(levels=LEVELS):
    """Fill the same array again for every chunk."""
    buffer = full(0.0)
    for level in levels:
        buffer[:] = level
        yield Chunk(buffer, RATE)


def one_array_in_slices():
    """Yield parts of one array, and write over what was yielded before."""
    buffer = np.zeros(4800, np.float32)
    for index, level in enumerate(LEVELS):
        buffer[:] = level
        yield Chunk(buffer[index * 1600 : (index + 1) * 1600], RATE)


def one_array_cleared_at_the_end():
    """Fill the buffer with noise when the last chunk was taken, and only then end."""
    buffer = full(0.0)
    for level in LEVELS:
        buffer[:] = level
        yield Chunk(buffer, RATE)
    buffer[:] = np.random.default_rng(0).standard_normal(1600)


def one_strided_array():
    """Yield every second sample of a buffer."""
    buffer = np.zeros(3200, np.float32)
    for level in LEVELS:
        buffer[:] = level
        yield Chunk(buffer[::2], RATE)


def one_bytearray():
    """Yield views of raw memory, as native libraries fill it."""
    memory = bytearray(1600 * 4)
    for level in LEVELS:
        np.frombuffer(memory, np.float32)[:] = level
        yield Chunk(np.frombuffer(memory, np.float32), RATE)


def one_read_only_view():
    """Yield a view that is read-only, of a buffer that is not."""
    buffer = full(0.0)
    view = buffer.view()
    view.flags.writeable = False
    for level in LEVELS:
        buffer[:] = level
        yield Chunk(view, RATE)


def one_subclass():
    """Yield an array of a class of its own."""

    class Buffer(np.ndarray):
        pass

    buffer = full(0.0).view(Buffer)
    for level in LEVELS:
        buffer[:] = level
        yield Chunk(buffer, RATE)


def one_chunk():
    """Yield the same chunk again, its fields replaced behind its back."""
    chunk = Chunk(full(0.0), RATE)
    for level in LEVELS:
        object.__setattr__(chunk, "samples", full(level))
        yield chunk


REUSED = [
    one_array,
    one_array_in_slices,
    one_array_cleared_at_the_end,
    one_strided_array,
    one_bytearray,
    one_read_only_view,
    one_subclass,
    one_chunk,
]


@pytest.mark.parametrize("generate", REUSED, ids=lambda function: function.__name__)
def test_a_plugin_may_use_its_buffer_again(provider, generate):
    """Whole and streamed, every chunk sounds as it was when it was yielded."""
    tts = provider(lambda request: generate())
    expected = np.concatenate([full(level) for level in LEVELS])
    np.testing.assert_array_equal(tts.generate("hello").samples, expected)
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in tts.stream("hello")]), expected)


def test_rows_of_a_batch_may_share_a_buffer(provider):
    """Each row keeps its own audio."""

    def batch(requests):
        buffer = full(0.0)
        for level in LEVELS:
            for row in range(len(requests)):
                buffer[:] = level / (row + 1)
                yield row, Chunk(buffer, RATE)

    speeches = provider(lambda request: one_array(), batch).generate_batch(["one", "two"])
    for row, speech in enumerate(speeches):
        np.testing.assert_array_equal(speech.samples[::1600], np.float32(LEVELS) / np.float32(row + 1))


def test_fields_beside_the_audio_are_copied():
    """Numbers of numpy, subclasses of strings and a span that is a list leave nothing of the plugin's behind."""

    class Word(str):
        __slots__ = ("extra",)

    span, word = [0, 2], Word("loud")
    word.extra = [1]
    mark = Mark(np.float32(0.5), 1, span, Word("word"))
    given = Chunk(full(0.1), RATE, (mark,), np.int64(3), Word("stop"), (word,), np.int8(1))
    _, chunk = checks_of("hello").check(0, given)
    span[0] = 99
    assert chunk.marks == (Mark(0.5, 1.0, (0, 2), "word"),)
    assert type(chunk.marks[0].start) is float
    assert [type(value) for value in (chunk.tokens, chunk.retries, chunk.finish_reason)] == [int, int, str]
    assert (chunk.warnings, type(chunk.warnings[0])) == (("loud",), str)


def test_texts_of_a_chunk_can_be_written_anywhere():
    """Half a surrogate pair, as names of files bring it, is written as its code."""
    given = Chunk(full(0.1), RATE, (Mark(0.0, 1.0, (0, 1), "mark", "a\udc80"),), warnings=("b\ud800",))
    _, chunk = checks_of("hello").check(0, given)
    assert (chunk.marks[0].name, chunk.warnings) == ("a\\udc80", ("b\\ud800",))
    (voice,) = check_voices([VoiceInfo("c\udcff", aliases=("d\udcff",))], "test")
    assert (voice.id, voice.aliases) == ("c\\udcff", ("d\\udcff",))


class Unshowable:
    """Something whose repr raises."""

    def __repr__(self):
        raise RuntimeError("no")


ODD = {
    "mark of strings": {"marks": (Mark("0", "1", (0, 1)),)},
    "mark of nothing": {"marks": (Mark(None, None, None),)},
    "mark that ends before it begins": {"marks": (Mark(2.0, 1.0, (0, 1)),)},
    "mark later than any sound": {"marks": (Mark(0.0, 1e12, (0, 1)),)},
    "mark at the largest number": {"marks": (Mark(1e308, 1.7e308, (0, 1)),)},
    "mark of another kind": {"marks": (Mark(0.0, 1.0, (0, 1), "phoneme"),)},
    "mark of a kind that is a list": {"marks": (Mark(0.0, 1.0, (0, 1), ["word"]),)},
    "mark with a span of floats": {"marks": (Mark(0.0, 1.0, (0.0, 1.0)),)},
    "mark with a span of three": {"marks": (Mark(0.0, 1.0, (0, 1, 2)),)},
    "marks in a list": {"marks": [Mark(0.0, 1.0, (0, 1))]},
    "finish reason in a list": {"finish_reason": ["stop"]},
    "finish reason of numpy": {"finish_reason": np.array(["stop", "length"])},
    "finish reason in other letters": {"finish_reason": "STOP"},
    "tokens too many to be written": {"tokens": 10**5000},
    "tokens beyond any counter": {"tokens": 2**63},
    "tokens true": {"tokens": True},
    "tokens in an array": {"tokens": np.array([1, 2])},
    "retries a float": {"retries": 1.0},
    "rate true": {"sample_rate": True},
    "rate zero": {"sample_rate": 0},
    "rate of another kind": {"sample_rate": "16000"},
    "warnings of numbers": {"warnings": (1,)},
    "warnings that cannot be shown": {"warnings": Unshowable()},
    "samples of the other byte order": {"samples": full(0.1).astype(">f4")},
    "samples of objects": {"samples": np.array([0.1], object)},
    "samples without an axis": {"samples": np.float32(0.1)},
    "samples of no sound": {"samples": np.array([0.1, -3e38], np.float32)},
    "samples with an infinity": {"samples": np.array([0.1, np.inf], np.float32)},
}


def checks_of(*texts):
    """The checks of rows with these texts."""
    checks = ChunkChecks((RATE,), "test")
    for row, text in enumerate(texts):
        checks.begin(row, text)
    return checks


@pytest.mark.parametrize("case", ODD, ids=str)
def test_odd_fields_are_told(case):
    """Always as `InvalidChunk` with a fix, never as an error of the check itself."""
    chunk = Chunk(**{"samples": full(0.1), "sample_rate": RATE, **ODD[case]})
    with pytest.raises(errors.InvalidChunk) as caught:
        checks_of("hello").check(0, chunk)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("dtype", "fix"),
    [
        ("f8", "convert it with"),
        (">f4", "convert it with"),
        ("f2", "convert it with"),
        ("i2", "divide it by 32768 and"),
        (">i2", "divide it by 32768 and"),
        ("i4", "divide it by 2147483648 and"),
        ("i1", "divide it by 128 and"),
        ("u1", "yield an array of numpy.float32"),
        ("c8", "yield an array of numpy.float32"),
        ("?", "yield an array of numpy.float32"),
        ("O", "yield an array of numpy.float32"),
    ],
)
def test_the_fix_of_another_type_is_one_that_sounds(dtype, fix):
    """Whole numbers that are only converted would be a thousand times too loud."""
    with pytest.raises(errors.InvalidChunk, match="dtype") as caught:
        checks_of("hello").check(0, Chunk(full(0.1).astype(dtype), RATE))
    assert caught.value.fix.startswith(fix)


@pytest.mark.parametrize("row", [2, -1, 0.0, "0", True, None, 2**70, np.float32(1)], ids=repr)
def test_row_must_be_of_the_batch(row):
    """The number of one that has begun and not ended."""
    checks = checks_of("hello", "there", "again")
    assert checks.end(np.int64(2)) == 2
    assert checks.check(np.int64(1), Chunk(full(0.1), RATE))[0] == 1
    for call in (lambda: checks.check(row, Chunk(full(0.1), RATE)), lambda: checks.end(row)):
        with pytest.raises(errors.InvalidChunk, match="it yielded"):
            call()
    assert checks.rows == (0, 1)


@pytest.mark.parametrize("field", ["id", "name", "language", "gender", "description", "aliases"])
@pytest.mark.parametrize("value", [None, 3], ids=repr)
def test_voices_hold_strings(field, value):
    """What the user would be shown, or would have to give."""
    with pytest.raises(errors.InvalidPlugin, match="strings"):
        check_voices([VoiceInfo(**{"id": "a", field: value})], "test")
    with pytest.raises(errors.InvalidPlugin, match="strings"):
        check_voices([VoiceInfo("a", aliases=(value,))], "test")
    assert check_voices([VoiceInfo("a", aliases=("b",))], "test")


TEXTS = {
    "one chunk": lambda request: iter([Chunk(full(0.1), RATE)]),
    "several chunks": lambda request: one_array(),
    "louder than full scale": lambda request: one_array([1.5]),
    "an end without audio": lambda request: iter(
        [Chunk(full(0.1), RATE), Chunk(np.zeros(0, np.float32), RATE, finish_reason="stop")]
    ),
}


@pytest.mark.parametrize("text", ["Hello.", "One. Two. Three."])
@pytest.mark.parametrize("speed", [1.0, 1.5])
@pytest.mark.parametrize("case", TEXTS, ids=str)
def test_chunks_are_read_only_and_speech_is_the_callers(provider, case, speed, text):
    """Whatever the core does with the audio on its way."""
    tts = provider(TEXTS[case])
    for chunk in tts.stream(text, speed=speed):
        assert not chunk.samples.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            chunk.samples[:] = 0.0
    speech, again = tts.generate(text, speed=speed), tts.generate(text, speed=speed)
    speech.samples[:] *= 0.5
    np.testing.assert_array_equal(speech.samples, again.samples * np.float32(0.5))


def test_extension_may_use_its_buffer_again_and_changes_no_chunk():
    """What it returns is copied; what it gets is read-only, and the error names it."""
    buffer = full(0.0)

    def reusing(chunk, request):
        buffer[:] = chunk.samples * 2
        return replace(chunk, samples=buffer)

    chain = Extensions({"reusing": types.SimpleNamespace(process_audio=reusing)})
    got = [chain.process_audio(Chunk(full(level), RATE), None).samples for level in LEVELS]
    np.testing.assert_array_equal([samples[0] for samples in got], np.float32(LEVELS) * 2)

    def in_place(chunk, request):
        chunk.samples[:] = 0.0
        return chunk

    chain = Extensions({"in_place": types.SimpleNamespace(process_audio=in_place)})
    _, chunk = checks_of("hello").check(0, Chunk(full(0.1), RATE))
    with pytest.raises(errors.ExtensionError, match=r"in_place.*read-only"):
        chain.process_audio(chunk, None)


@pytest.mark.parametrize("form", [tuple, "voice"])
def test_recording_is_copied(form):
    """A caller may record the next voice into the same buffer while a request waits."""
    rng = np.random.default_rng(0)
    buffer = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    before = buffer.copy()
    given = (buffer, RATE) if form is tuple else Voice(buffer, RATE)
    voice = reference.load(given, text=None, seconds=(0.5, 60.0), who="test")
    buffer[:] = 0.0
    np.testing.assert_array_equal(voice.samples, before)


def test_the_pages_say_so():
    """Who reads the reference of a chunk or of a speech learns which of them may be changed."""
    pages = Path(__file__).parents[2] / "docs/reference"
    assert "read-only" in (pages / "hooks.md").read_text(encoding="utf-8")
    assert "own copy" in (pages / "api.md").read_text(encoding="utf-8")
