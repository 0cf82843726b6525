"""What is left out of a text, told before a load: each character is said, silent or named."""

import pytest

from realtts.errors import UnspeakableText
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts_qwen3 import spec
from realtts_qwen3.reading import readable, unread_in


@pytest.mark.parametrize("language", spec.languages)
def test_every_character_is_accounted_for(language) -> None:
    """And what is named does not reach the model."""
    for text in texts_of(language, 50):
        account = account_of(spec, spec.checkpoints[0], text, language)
        assert not account.lost, (text, account.lost)
        for given in account.given:
            left = readable(given)
            assert not {given[slice(*each.span)] for each in left.unread} & set(left.text)


@pytest.mark.parametrize("language", sorted(PLAIN))
def test_plain_sentences(language) -> None:
    """Have nothing to warn of, and reach the model as they are."""
    for text in PLAIN[language]:
        assert unread_in(None, text, None) == ()
        assert readable(text).text == text


@pytest.mark.parametrize("text", ["😀🎉", "👍🏽", "☃ ☎", "🇩🇪", "\ue000"])
def test_pictures_alone_are_refused(text) -> None:
    """Nobody can say what they are called."""
    with pytest.raises(UnspeakableText, match="pictures"):
        readable(text)
