"""Texts that end the process in espeak-ng 1.52, spoken in a process of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from realtts_espeak.hazards import NAMED_PUNCTUATION, harmless

CASES = {
    "circled": ("ml", "ⓜ Ⓜ ⓜⓜⓜ", {}),
    "circled-indic": ("pa", "ⓂI", {}),
    "braille": ("ti", "⣿⢿⡿ ⣞⣟", {}),
    "backtick": ("vi", "`", {}),
    "bracket-hyphen": ("vi", "]-b", {}),
    "tag-hyphen": ("da", "<-aG", {}),
    "sinhala": (
        "si",
        """]Lh1/QDR\\4=+{7Dio;eF3fT32wJiV2^y.RGT{6%56Cm7pqF[1t\\B`'?S,Urmu~>a#I@"d:D}Q'9I,M9U*9|3+#!fP(-""",
        {},
    ),
    "greenlandic": ("kl", "0 8 214268 2028", {}),
    "long-number": ("kl", "555266340576134454216976499598504121876889163712035501832006", {}),
    "named-colon": ("mr", "a : b", {"punctuation": True}),
    "named-emoji": ("te", "a 😀 b", {"punctuation": True}),
    "named-unusual": ("ru", "a ⁉ b ®", {"punctuation": True}),
    "named-first": ("vi", "! a", {"punctuation": True}),
    "copyright": ("pt", "© 2020 © Maria", {}),
    "boxed": ("el", "🅰 a🅰b 🅾.", {}),
    "hyphen-first": ("en-us", "क、-、-िक", {}),
    "hyphen-first-symbols": ("en-us", "—°},-നഒ", {}),
    "hyphens-in-a-row": ("hi", "‘-ٰ-⨗", {}),
    "hyphen-behind-mark": ("en-gb-scotland", "»-്-r", {}),
    "hyphen-unspoken-letter": ("vi", "ۯ-ba ²²-ba", {}),
    "hyphen-danish": ("da", "óó-ba", {}),
    "hyphens-in-ssml": (
        "fi",
        '<speak><say-as interpret-as="characters">⣿♪.</say-as>-.-.-.-.-്-്</speak>',
        {"ssml": True},
    ),
    "spanish-capital": ("es", "Vino D.´" + " ሀ b" * 70, {}),
    "spanish-slash": ("es-419", "<speak>192.168.0.1/A./p. m.</speak>", {"ssml": True}),
    "spanish-tags": ("es", f"<speak>D.<s>\n*{' hola' * 60}</s></speak>", {"ssml": True}),
    "vocalic": ("vi-vn-x-central", "ૠ", {}),
    "ssml": ("en-us", '<speak><voice name="vi">]-b</voice></speak>', {"ssml": True}),
    "spelled": (
        "pt",
        '<say-as interpret-as="characters">©ab ]-b ⓜ ⣿ a.b.c.d.e. 😀🅰x </say-as>',
        {"ssml": True},
    ),
    "spelled-vi": (
        "vi",
        '<say-as interpret-as="spell-out">]-b ` ăâđêôơư0123456789abcdefgh</say-as>',
        {"ssml": True},
    ),
    "phonemes-own": (
        "de",
        f'<phoneme alphabet="espeak" ph="zQ%%#||;^">a</phoneme><phoneme alphabet="espeak" ph="{"aI" * 60}">b</phoneme>',
        {"ssml": True},
    ),
    "phonemes-ipa": (
        "de",
        f'<phoneme ph="ʘǃǂ||//..">c</phoneme><phoneme ph="{"aːˈ" * 300}">d</phoneme>',
        {"ssml": True},
    ),
}

CODE = """
import sys
from realtts.errors import UnspeakableText
from realtts import RealProvider
from realtts.contract.types import Request
from realtts_espeak.options import EspeakOptions
from realtts_espeak.plain import Plain
plain = Plain()
model = plain.load(None)
for case, (voice, text, options) in eval(sys.argv[1]).items():
    print(case, flush=True)
    for _ in range(2):  # the second time as plain text, tags and all
        markup = options.pop("ssml", False)
        request = Request(text, voice, None, 0, 1.0, EspeakOptions(**options), lambda: False)
        try:
            if markup:
                RealProvider("espeak").generate(text, voice=voice, ssml=True)
            list(plain.generate(None, model, request))
        except UnspeakableText:
            pass
"""


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(tuple(CASES), id="together"),
        *(pytest.param((case,), id=case, marks=pytest.mark.full) for case in CASES),
    ],
)
def test_the_process_lives(cases: tuple[str, ...]) -> None:
    """Each of these ended it before; the last line of the output names the one that does."""
    texts = repr({case: CASES[case] for case in cases})
    done = subprocess.run([sys.executable, "-c", CODE, texts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", list(cases))


@pytest.mark.parametrize("voices", ["", "aav/vi", "inc/si dra/ml sem/ti"], ids=repr)
def test_length_stays(voices: str) -> None:
    """Marks point into the text as it was."""
    text = "`a` ]-b ⓜ ⣿ - 12-b"
    assert len(harmless(text, voices)) == len(text)


def test_other_voices_say_everything() -> None:
    """A rule holds for the voices that need it."""
    assert harmless("`a` ] -b ⓜ ⣿ óó-b D.*", "gmw/en-US") == "`a` ] -b ⓜ ⣿ óó-b D.*"


@pytest.mark.parametrize("text", ["well-known", "é-b", "e\u0301-b", "2-a", "किताब-घर", "-b", " -b", "a - b", "a--b"])
def test_hyphens_of_words_stay(text: str) -> None:
    """Behind a letter or digit, and where none is meant."""
    assert harmless(text, "gmw/en-US inc/hi") == text


@pytest.mark.parametrize("text", [")-b", "»-്-r", '"a"-b', "a</s>-b", "🙂-b", "_-b"])
def test_hyphens_behind_nothing_with_a_sound_go(text: str) -> None:
    """And no other character."""
    assert harmless(text, "roa/fr") == text.replace("-", " ")


def test_punctuation_fits() -> None:
    """Espeak keeps 60 characters, the last of them a zero."""
    assert len(set(NAMED_PUNCTUATION)) == len(NAMED_PUNCTUATION) <= 59


def test_unnamed_punctuation_is_told(say) -> None:
    """The option is left out with a warning, not with silence."""
    spoken = say("Xin chào!", voice="vi", punctuation=True)
    assert any("punctuation" in warning for warning in spoken.warnings)
    assert not say("Hello!", punctuation=True).warnings
