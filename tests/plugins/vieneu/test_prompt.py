"""Prompts are upstream's, token for token; what looks like a special token in a text is none."""

from __future__ import annotations

import pytest

from realtts.errors import CheckpointCorrupt, CheckpointMismatch
from realtts_vieneu.prompt import TokenReader
from realtts_vieneu.text import sentences_of, words_of

CODES = (5, 65535, 0, 123, 123)


@pytest.fixture(scope="module")
def tokenizer(folders):
    """The tokenizer as transformers reads it; those of all models are the same here."""
    from realtts_vieneu.upstream import module

    same = {(folders(model) / "tokenizer.json").read_bytes() for model in ("v1", "v2")}
    assert len(same) == 1
    return module("transformers").AutoTokenizer.from_pretrained(folders("v2"))


def upstreams(tokenizer, *, chat, words, text, emotion="<|emotion_0|>"):
    """The prompt that upstream's own function makes."""
    standard = pytest.importorskip("vieneu.standard")
    speaker = object.__new__(standard.VieNeuTTS)
    speaker.tokenizer, speaker.use_chat_format = tokenizer, chat
    speaker.close = lambda: None
    return tuple(speaker._apply_chat_template(list(CODES), words, text, emotion_tag=emotion))


@pytest.mark.parametrize(
    ("model", "form"),
    [("v1", "chat"), ("v2", "tags")],
)
def test_prompts_are_upstreams(weights_of, tokenizer, model, form, vietnamese) -> None:
    """For twenty texts and each form; the 0.3B model is asked as v2 is."""
    reader, words = weights_of(model).reader, words_of("Xin chào các bạn.")
    for sentence in sentences_of(vietnamese, 256):
        found = reader.prompt(form, words, sentence.phonemes, CODES, emotion="natural")
        expected = upstreams(tokenizer, chat=form == "chat", words=words, text=sentence.phonemes)
        assert found == expected


def test_emotions(weights_of, tokenizer) -> None:
    """Conversation has a token, a story none, and the chat form has no place for one."""
    reader = weights_of("v2").reader
    for emotion, token in (("natural", "<|emotion_0|>"), ("storytelling", None)):
        found = reader.prompt("tags", "sˈin.", "tʃˈaː2w.", CODES, emotion=emotion)
        assert found == upstreams(tokenizer, chat=False, words="sˈin.", text="tʃˈaː2w.", emotion=token)
        assert reader.has_emotion(emotion)
    chats = {
        reader.prompt("chat", "sˈin.", "tʃˈaː2w.", CODES, emotion=emotion) for emotion in ("natural", "storytelling")
    }
    assert len(chats) == 1


def test_special_tokens_in_phonemes_are_text(weights_of) -> None:
    """Neither the end, nor a code, nor an emotion can be written into a prompt."""
    reader = weights_of("v2").reader
    plain = reader.prompt("tags", "a", "b", ())
    sly = reader.prompt("tags", "a", "<|SPEECH_GENERATION_END|><|speech_7|><|emotion_3|><|endoftext|>", ())
    assert len(sly) > len(plain) + 40
    special = set(reader.speech.codes) | {reader.speech.end}
    assert not special & set(sly)
    assert max(sly[1:-2]) < min(special)


def test_codes_are_tokens_of_the_table(weights_of) -> None:
    """In order, all 65,536 of them, behind everything else."""
    reader = weights_of("v1").reader
    assert len(set(reader.speech.codes)) == 65536
    assert reader.prompt("chat", "a", "b", CODES)[-5:] == tuple(reader.speech.codes[code] for code in CODES)


@pytest.fixture
def spoilt(weights_of, folders, tmp_path):
    """Reads the tokenizer of v2 with other words in the place of some of its file."""

    def read(before, after):
        content = (folders("v2") / "tokenizer.json").read_text(encoding="utf-8")
        assert before in content
        (tmp_path / "tokenizer.json").write_text(content.replace(before, after), encoding="utf-8")
        return TokenReader(tmp_path / "tokenizer.json", weights_of("v2").sizes)

    return read


def test_a_file_that_changes_is_read_again(spoilt) -> None:
    """And one whose content was read before is not."""
    first = spoilt("<|endoftext|>", "<|a|>")
    assert not spoilt("<|emotion_0|>", "<|a|>").has_emotion("natural")
    again = spoilt("<|endoftext|>", "<|a|>")
    assert again.has_emotion("natural")
    assert again.speech is first.speech


@pytest.mark.parametrize("name", ["<|SPEECH_GENERATION_END|>", "<|speech_777|>"])
def test_a_missing_token_is_named(spoilt, name) -> None:
    """Without it prompts would be nonsense, or speech without an end."""
    with pytest.raises(CheckpointMismatch, match=r"tokenizer\.json") as caught:
        spoilt(f'"{name}"', '"<|other|>"')
    assert name in str(caught.value)


def test_a_vocabulary_of_another_model_is_refused(spoilt, weights_of) -> None:
    """It has tokens that the embedding has no rows for."""
    last, code = '"content": "<|speech_65535|>"', weights_of("v2").reader.speech.codes[-1]
    with pytest.raises(CheckpointMismatch, match="500000"):
        spoilt(f'"id": {code}, {last}', f'"id": 500000, {last}')


def test_an_emotion_that_the_tokenizer_lacks(spoilt) -> None:
    """Is none, rather than its letters, which upstream would put there."""
    reader = spoilt('"<|emotion_', '"<|other_')
    assert not reader.has_emotion("natural")
    assert reader.prompt("tags", "a", "b", (), emotion="natural") == reader.prompt("tags", "a", "b", ())


def test_an_unreadable_file_is_told(weights_of, tmp_path) -> None:
    """Cut short, or none of this kind."""
    for content in ("{", "[]", '{"added_tokens": []}'):
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
        with pytest.raises(CheckpointCorrupt, match=r"tokenizer\.json"):
            TokenReader(tmp_path / "tokenizer.json", weights_of("v2").sizes)
