"""What the vocabularies lack, told before a load: each character is said, silent or named, and no [UNK] is spoken."""

import importlib.util
from dataclasses import replace

import pytest

from realtts import RealProvider
from realtts.errors import UnspeakableText
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts_chatterbox import spec
from realtts_chatterbox.reading import unread_in
from realtts_chatterbox.text import TextReader

NEEDED = {"zh": "spacy_pkuseg", "ja": "pykakasi", "he": "dicta_onnx"}
LANGUAGES = [
    language for language in spec.languages if language not in NEEDED or importlib.util.find_spec(NEEDED[language])
]
KINDS = [("english", "en"), ("turbo", "en"), *(("multilingual", language) for language in LANGUAGES)]


@pytest.fixture
def checkpoint_of(folders):
    """The checkpoint of a model in its folder."""
    return lambda kind: replace(spec.checkpoints[0], name=kind, path=folders(kind))


@pytest.mark.parametrize(("kind", "language"), KINDS)
def test_every_character_is_accounted_for(checkpoint_of, kind, language) -> None:
    """And what is named does not reach the model, which gets no token for what it lacks."""
    checkpoint = checkpoint_of(kind)
    reader = TextReader({path.name: path for path in checkpoint.path.iterdir()}, kind)
    for text in texts_of(language, 50):
        try:
            account = account_of(spec, checkpoint, text, language)
        except UnspeakableText:
            continue  # the small vocabulary has not the whole script
        assert not account.lost, (text, account.lost)
        for given in account.given:
            readable = reader.readable(given, language)
            assert reader.reads_all(readable.text, language), (given, readable.text)
            assert not {given[slice(*each.span)] for each in readable.unread} & set(readable.text)


@pytest.mark.parametrize("text", PLAIN["en"])
@pytest.mark.parametrize("kind", ["english", "turbo", "multilingual"])
def test_plain_sentences(checkpoint_of, kind, text) -> None:
    """Have nothing to warn of."""
    assert unread_in(checkpoint_of(kind), text, "en") == ()


@pytest.mark.parametrize("text", ["Привет мир", "你好世界", "مرحبا", "さようなら", "ก ข"])
def test_another_script_is_refused(checkpoint_of, text) -> None:
    """By the model that has no letter of it."""
    with pytest.raises(UnspeakableText):
        unread_in(checkpoint_of("english"), text, "en")


def test_speech_comes_with_its_warnings(checkpoint_of) -> None:
    """With places in the caller's text; letters with marks are read without them."""
    text = "Na\u0131\u0308ve cafe\u0301 so\u00adft for €5 😀"
    with RealProvider("chatterbox", model=checkpoint_of("english").path, isolation="never", device="cpu") as tts:
        speech = tts.generate(text, seed=1, max_new_tokens=15, watermark=False, n_cfm_timesteps=1)
    assert any(f"'😀' at {text.index('😀')}" in warning for warning in speech.warnings)
    assert unread_in(None, text, "en") is None
