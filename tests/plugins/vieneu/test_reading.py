"""What sea-g2p drops, told before a load: each character is said, silent or named."""

import pytest

from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts_vieneu import spec
from realtts_vieneu.losses import unread
from realtts_vieneu.reading import unread_in
from realtts_vieneu.sea import normalised, prepared


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_character_is_accounted_for(language) -> None:
    """In texts with everything that people write."""
    for text in texts_of(language, 50):
        account = account_of(spec, spec.checkpoints[0], text, None)
        assert not account.lost, (text, account.lost)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_word_is_heard(language) -> None:
    """Without it a text sounds otherwise, unless it was named."""
    for text in texts_of(language, 25):
        account = account_of(spec, spec.checkpoints[0], text, None)
        for line in "\n".join(account.given).splitlines():
            words, whole, named = line.split(" "), normalised(prepared(line)), set(unread(line))
            for at, word in enumerate(words):
                if any(char.isalnum() and char not in named for char in word):
                    assert normalised(prepared(" ".join(words[:at] + words[at + 1 :]))) != whole, (line, word)


@pytest.mark.parametrize("text", [*PLAIN["vi"], *PLAIN["en"]])
def test_plain_sentences(text) -> None:
    """Have nothing to warn of."""
    assert unread_in(None, text, None) == ()


@pytest.mark.parametrize("unsaid", ["你", "😀", "П", "\ue000", "٣", "ก"])
def test_places(unsaid) -> None:
    """Every one of them."""
    text = f"Xin {unsaid} chào {unsaid} bạn"
    assert [each.span[0] for each in unread_in(None, text, "vi")] == [4, text.rindex(unsaid)]
