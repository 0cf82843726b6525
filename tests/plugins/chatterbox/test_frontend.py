"""From a request to ids, sampling parameters and limits."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types

import pytest
import torch

from realtts.errors import TextTooLong, UnknownLanguage, UnspeakableText
from realtts.testing import make_context, make_request
from realtts_chatterbox import scripts
from realtts_chatterbox.constants import TOKENS_PER_SECOND
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.options import ChatterboxOptions
from realtts_chatterbox.text import TextReader, punctuated

KINDS = ("english", "multilingual", "turbo")
TEXTS = [
    "hello there",
    "  spaces   in  it ",
    "wait... what \u2014 no; yes: \u201cquoted\u201d \u2018x\u2019",
    "a - b , c\u2026",
    "ends!",
    "Ends, ",
    "\u4f60\u597d\u3002",
    "12:30",
    "x",
]


def ask_of(weights, text="Hello there.", *, forced=None, language=None, **options):
    """A request in the model's terms."""
    context = make_context(force_tokens_per_char=None if forced is None else forced / len(text))
    request = make_request(text, language=language, seed=1, options=ChatterboxOptions(**options))
    return prepare(context, weights, request)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_punctuation_is_upstreams(kind, text) -> None:
    """The same text reaches the tokenizer."""
    from chatterbox import mtl_tts, tts, tts_turbo

    module = {"english": tts, "multilingual": mtl_tts, "turbo": tts_turbo}[kind]
    assert punctuated(text, kind) == module.punc_norm(text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_upstreams(weights_of, tokenizer_of, kind, text) -> None:
    """Ordinary text becomes upstream's ids, START and STOP around them but for Turbo; it has a letter that is known."""
    if kind != "turbo" and not any(char.isascii() and char.isalnum() for char in text):
        with pytest.raises(UnspeakableText):  # upstream speaks its token for what is unknown
            ask_of(weights_of(kind), text)
        return
    tokenizer, ids = tokenizer_of(kind), ask_of(weights_of(kind), text).ids
    text = punctuated(text, kind)
    if kind == "turbo":
        assert list(ids) == tokenizer(text).input_ids
        return
    language = {"language_id": "en"} if kind == "multilingual" else {}
    assert torch.equal(torch.tensor(ids[1:-1]), tokenizer.text_to_tokens(text, **language)[0])
    assert (ids[0], ids[-1]) == (255, 0)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("english", "[START] one [STOP] two [SPACE] three [UNK]"),
        ("english", "[[STOP]STOP] [ST[STOP]OP]"),
        ("multilingual", "[en] one [fr] two [cj_a] \uff3bfr\uff3d [START] \uff3b\uff33\uff34\uff2f\uff30\uff3d"),
        ("turbo", "one <|endoftext|> two <|<|endoftext|>endoftext|>"),
    ],
)
def test_special_tokens_in_a_text_are_text(weights_of, tokenizer_of, kind, text) -> None:
    """None of the tokens that steer the model comes out of a text."""
    tokenizer = tokenizer_of(kind)
    steering = (
        {tokenizer.eos_token_id}
        if kind == "turbo"
        else {
            number
            for number, token in tokenizer.tokenizer.get_added_tokens_decoder().items()
            if token.content not in {"[SPACE]", "[UNK]"}
        }
    )
    inner = ask_of(weights_of(kind), text).ids
    inner = inner if kind == "turbo" else inner[2 if kind == "multilingual" else 1 : -1]
    assert not steering & set(inner)


def test_turbos_tags_of_sounds_stay(weights_of, tokenizer_of) -> None:
    """They are a feature of that model."""
    (tag,) = tokenizer_of("turbo").convert_tokens_to_ids(["[laugh]"])
    assert tag in ask_of(weights_of("turbo"), "That is funny [laugh] indeed").ids


@pytest.mark.parametrize(
    ("kind", "penalty", "min_p", "top_p", "top_k", "steps", "weight", "emotion"),
    [
        ("english", 1.2, 0.05, 1.0, 0, 10, 0.5, 0.5),
        ("multilingual", 2.0, 0.05, 1.0, 0, 10, 0.5, 0.5),
        ("turbo", 1.2, 0.0, 0.95, 1000, 2, 0.0, 0.0),
    ],
)
def test_defaults_are_the_models(weights_of, kind, penalty, min_p, top_p, top_k, steps, weight, emotion) -> None:  # noqa: PLR0917
    """What upstream's `generate` of each model takes where nothing is given."""
    ask = ask_of(weights_of(kind))
    assert (ask.repetition_penalty, ask.min_p, ask.top_p, ask.top_k) == (penalty, min_p, top_p, top_k)
    assert (ask.steps, ask.cfg_weight, ask.exaggeration, ask.temperature) == (steps, weight, emotion, 0.8)
    assert not ask.warnings


def test_zero_is_a_value(weights_of) -> None:
    """A weight of zero is not taken for none given."""
    ask = ask_of(weights_of("english"), cfg_weight=0.0, min_p=0.0)
    assert (ask.cfg_weight, ask.min_p) == (0.0, 0.0)


def test_emotion_is_a_name_for_exaggeration(weights_of) -> None:
    """The number wins where both are given."""
    assert ask_of(weights_of("english"), emotion="excited").exaggeration == 1.0
    assert ask_of(weights_of("english"), emotion="excited", exaggeration=0.6).exaggeration == 0.6


def test_what_means_nothing_is_told(weights_of) -> None:
    """An option that the model has not is ignored with a warning."""
    (warning,) = ask_of(weights_of("turbo"), cfg_weight=0.5, emotion="sad").warnings
    assert "cfg_weight" in warning
    assert "emotion" in warning
    assert "top_k" in ask_of(weights_of("english"), top_k=5).warnings[0]


def test_limits(weights_of) -> None:
    """A cap in proportion to the text; a benchmark's number is both limits; a user's number is the cap."""
    weights = weights_of("multilingual")
    short, long = ask_of(weights, "Hello."), ask_of(weights, "Hello. " * 20)
    assert 0 < short.most < long.most
    assert ask_of(weights, "a" * 100, language="ko").most > ask_of(weights, "a" * 100).most
    assert ask_of(weights, "$1,234,567.89").most >= 8 * TOKENS_PER_SECOND
    assert ask_of(weights, "99 %").most - ask_of(weights, "ab c").most == round(3 * 0.6 * TOKENS_PER_SECOND)
    assert (ask_of(weights, forced=7).least, ask_of(weights, forced=7).most) == (7, 7)
    assert ask_of(weights, max_new_tokens=9).most == 9
    with pytest.raises(TextTooLong):
        ask_of(weights, "a b " * 1000)


@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_other_languages_need_the_multilingual_model(weights_of, kind) -> None:
    """The error names it."""
    assert ask_of(weights_of(kind), language="en").language == "en"
    with pytest.raises(UnknownLanguage, match="multilingual"):
        ask_of(weights_of(kind), language="fr")


@pytest.mark.parametrize(("language", "package"), [("zh", "spacy_pkuseg"), ("ja", "pykakasi"), ("he", "dicta_onnx")])
def test_missing_packages_are_told(weights_of, monkeypatch, language, package) -> None:
    """Upstream goes on without them and speaks nonsense; here the package is named."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    with pytest.raises(UnknownLanguage, match=package.replace("_", "-")):
        ask_of(weights_of("multilingual"), "\u4f60\u597d", language=language)


class Segmenter:
    """Stands in for the package that finds Chinese words: pairs of characters."""

    def cut(self, text):
        """Cut it."""
        return [text[at : at + 2] for at in range(0, len(text), 2)]


class Kakasi:
    """Stands in for the package that reads Japanese: a part for each character."""

    def convert(self, text):
        """Read it: Chinese characters as a particle or a syllable."""
        return [{"orig": c, "hira": ("\u306f\u3044" if ord(c) % 2 else "\u304b") if c > "\u4e00" else c} for c in text]


class Marks:
    """Stands in for the packages that mark Hebrew and Russian."""

    def add_diacritics(self, text):
        """Mark each letter."""
        return "".join(f"{c}\u05b8" for c in text)

    def stress_text(self, text):
        """Fail, as upstream lets it."""
        raise RuntimeError(text)


@pytest.fixture
def scripts_known(monkeypatch):
    """The packages of all scripts are there; what either side has cached of them is forgotten."""
    for name, content in {
        "spacy_pkuseg": {"pkuseg": Segmenter},
        "pykakasi": {"kakasi": Kakasi},
        "dicta_onnx": {"Dicta": Marks},
        "russian_text_stresser": {},
        "russian_text_stresser.text_stresser": {"RussianTextStresser": Marks},
    }.items():
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    ours = (scripts._segmenter, scripts._kakasi, scripts._dicta, scripts._stresser)
    theirs = sys.modules["chatterbox.models.tokenizers.tokenizer"]

    def forget():
        for cached in ours:
            cached.cache_clear()
        theirs._kakasi = theirs._dicta = theirs._russian_stresser = None

    forget()
    yield
    forget()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ko", "\uc548\ub155"),
        ("ko", "\uac00\ub098 \ud7a3a"),
        ("fr", "\u00e9t\u00e9"),
        ("ru", "\u043f\u0440"),
        ("zh", "\u4e00\u4e01\u4e02a \u4e1a\u4e1b\u3041"),
        ("zh", "\u4e1a"),
        ("ja", "\u3042\u4e00\u4e01 \u30ab\u304c"),
        ("he", "\u05e9\u05dc"),
    ],
)
@pytest.mark.usefixtures("scripts_known")
def test_languages_are_read_as_upstream_reads_them(folders, tokenizer_of, language, text) -> None:
    """Each by its own token and rules."""
    folder = folders("multilingual")
    reader = TextReader({path.name: path for path in folder.iterdir()}, "multilingual")
    tokenizer = tokenizer_of("multilingual")
    expected = tokenizer.encode(punctuated(text, "multilingual"), language_id=language)
    unknown = tokenizer.tokenizer.token_to_id("[UNK]")
    assert list(reader.ids(text, language)[1:-1]) == [number for number in expected if number != unknown]
