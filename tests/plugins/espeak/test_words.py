"""Words that people write in every language of espeak: all of them sound.

The words are names of languages, countries, currencies, months and days from the Unicode CLDR;
`benchmarks/espeak_words.py` speaks 20,000 of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from realtts_espeak.letters import readable
from realtts_espeak.numerals import number_edges, reading
from realtts_espeak.synthesis import Manner

WORDS: dict[str, list[str]] = json.loads((Path(__file__).parent / "data" / "words.json").read_text(encoding="utf-8"))


def test_every_voice_has_words(say) -> None:
    """A voice that is added needs some."""
    assert {voice.identifier for voice in say.model.catalogue.voices} == set(WORDS)


@pytest.mark.parametrize("first", range(0, len(WORDS), 20))
def test_words_are_spoken_whole(say, first: int) -> None:
    """No error, no warning, and a mark for each."""
    for voice, names in list(WORDS.items())[first : first + 20]:
        text = ", ".join(names)
        spoken = say(text, voice=voice, rate=450)
        words = [word for word in text.split() if any(map(str.isalnum, word))]
        assert not spoken.warnings, (voice, text)
        assert len(spoken.marks) >= len(words), (voice, text)
        assert spoken.duration > 0.02 * len(text.replace(" ", "")), (voice, text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "२५ and ٣٤"),
        ("ur", "(۲۰۰۰–۲۰۱۶)"),
        ("ru", "в ２０２４ году"),
        ("km", "ឆ្នាំ ២០២៤"),
        ("si", "෨෦෨෪"),
        ("de", "၂၀ und ೨೦"),
        ("ja", "２０年と٢٠年"),
    ],
)
def test_digits_of_any_script_are_read(say, language: str, text: str) -> None:
    """With marks in the text as it was given."""
    spoken = say(text, voice="gmw/en-US") if language == "km" else say(text, language=language)
    assert not spoken.warnings
    numbers = [word for word in spoken.words if any(map(str.isdigit, word))]
    assert numbers
    assert all(number in text for number in numbers)


@pytest.mark.parametrize(("voice", "text"), [("hi", "२५"), ("ar", "٢٥"), ("th", "๒๕"), ("en", "25"), ("bn", "২৫")])
def test_digits_that_a_voice_reads_stay(voice: str, text: str) -> None:
    """Its own reading is not touched."""
    edited = readable(text, Manner(voice))
    assert edited.text == text


@pytest.mark.parametrize("text", ["ᏩᏔᎹᎳ", "ᎣᏏᏲ!", "Ꮳ Ꮖ Ꮳ", "ꮳꮃꭹ", "ᏙᎯᏧ? ᎣᏍᏓ."])
def test_cherokee_is_read(say, text: str) -> None:
    """In its own script, of which espeak knows nothing; marks point into it."""
    spoken = say(text, voice="iro/chr")
    assert spoken.duration > 0.2
    assert spoken.words == [word.strip("!?.") for word in text.split()]
    assert not spoken.warnings


@pytest.mark.parametrize("voice", ["trk/cv", "art/sjn", "iro/chr", "trk/cv+f3"])
def test_voices_without_numerals_let_another_read_numbers(say, voice: str) -> None:
    """Between their own words."""
    manner = Manner(voice)
    assert number_edges("a 12 b 3.5", manner) == {2, 4, 7, 10}
    assert reading(" 12 ", manner).voice.startswith(("gmw/en-US", "zle/ru"))
    assert reading("a 12", manner) is manner
    assert number_edges("a 12", Manner("gmw/de")) == set()
    spoken = say("a 12, b (2008)", voice=voice.split("+", maxsplit=1)[0])
    assert not spoken.warnings
    assert {"12", "2008"} <= set(spoken.words)
    assert np.isfinite(spoken.samples).all()
