"""What the vocabulary lacks, told before a load: each character is said, silent or named."""

import pytest

from realtts.contract.spec import Checkpoint
from realtts.errors import UnspeakableText
from realtts.testing.texts import PLAIN, account_of, texts_of
from realtts.text import readable_text
from realtts_f5 import spec
from realtts_f5.reading import unread_in
from realtts_f5.text import Vocabulary, symbols

VOCABULARY = Vocabulary(None)


@pytest.mark.parametrize("language", ["en", "zh", "de", "fr", "ru"])
def test_every_character_is_accounted_for(language) -> None:
    """And what is named does not reach the model, which gets no symbol that it lacks."""
    for text in texts_of(language, 50):
        account = account_of(spec, spec.checkpoints[0], text, None)
        assert not account.lost, (text, account.lost)
        for given in account.given:
            readable = readable_text(given, VOCABULARY.reads, who="f5")
            assert VOCABULARY.unknown(symbols(readable.text)) == ()
            assert not {given[slice(*each.span)] for each in readable.unread} & set(readable.text)


@pytest.mark.parametrize("text", [*PLAIN["en"], *PLAIN["zh"], *PLAIN["fr"], *PLAIN["de"], *PLAIN["es"]])
def test_plain_sentences(text) -> None:
    """Have nothing to warn of."""
    assert unread_in(spec.checkpoints[0], text, None) == ()


def test_where_the_vocabulary_is(tmp_path) -> None:
    """In the folder of a checkpoint, or in f5-tts; that of other repositories has to be fetched."""
    (tmp_path / "vocab.txt").write_text(" \na\nb\n", encoding="utf-8")
    mine = Checkpoint(name="mine", path=tmp_path)
    assert [each.span for each in unread_in(mine, "ab c", None) or ()] == [(3, 4)]
    with pytest.raises(UnspeakableText):
        unread_in(mine, "xyz", None)
    assert unread_in(Checkpoint(name="x/y", source="x/y"), "ab", None) is None
