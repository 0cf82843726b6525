"""Seconds of a recording and the words that are said in them."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from realtts.audio.pauses import find_pauses, quietest_place
from realtts.text.transcripts import excerpt

RATE = 16_000

TEXTS = {
    "English": "The small boat drifted past. Two children waved, then they ran home. It was late. Nobody spoke. End.",
    "German": "Das kleine Boot trieb vorbei. Zwei Kinder winkten, dann liefen sie heim. Es war spät. Niemand sprach.",
    "Spanish": "El barco pasó de largo. Dos niños saludaron, y se fueron a casa. Era tarde. ¿Quién habló? ¡Nadie!",
    "Vietnamese": "Chiếc thuyền nhỏ trôi qua. Hai đứa trẻ vẫy tay, rồi chạy về nhà. Trời đã muộn. Không ai nói gì.",
    "Russian": "Лодка проплыла мимо. Двое детей помахали, потом побежали домой. Было поздно. Никто не говорил. Конец.",
    "Chinese": "小船漂过去了。两个孩子挥了挥手，然后跑回家了。天已经晚了。没有人说话。就这样结束了。",
    "Japanese": "小さな船が通り過ぎた。二人の子供が手を振って、それから家に走った。もう遅かった。誰も話さなかった。",
    "Korean": "작은 배가 지나갔다. 두 아이가 손을 흔들고, 집으로 달려갔다. 늦은 시간이었다. 아무도 말하지 않았다. 끝.",
    "Hindi": "छोटी नाव बह गई। दो बच्चों ने हाथ हिलाया, फिर वे घर भागे। देर हो गई थी। कोई नहीं बोला। समाप्त।",
    "Arabic": "مر القارب الصغير. لوح طفلان، ثم ركضا إلى البيت. كان الوقت متأخرا. لم يتكلم أحد. انتهى الأمر.",
    "Thai": "เรือลำเล็กลอยผ่านไปแล้วเด็กสองคนโบกมือแล้ววิ่งกลับบ้านมันสายแล้วไม่มีใครพูดอะไรเลยจบแล้ว",
    "no punctuation": " ".join(["word"] * 60),
}


def is_end(character):
    """Whether a sentence ends with it."""
    return character in ".!?。।؟"


def spoken(words, gap=0.4):
    """A recording of these words: 0.08 s of sound for each letter, a pause at each mark; and where sentences end."""
    parts, ends, length = [], [], 0.0
    rng = np.random.default_rng(0)
    for character in words:
        seconds = 0.25 if "\u3041" <= character <= "\u9fff" else 0.18 if character >= "\uac00" else 0.08
        if not character.isspace() and unicodedata.category(character)[0] not in "LM" and character not in "¿¡":
            parts.append(np.zeros(round(gap * RATE)))
            length += gap
            ends += [length] if is_end(character) else []
        elif character.isalpha():
            parts.append(0.2 * rng.standard_normal(round(seconds * RATE)))
            length += seconds
    return np.concatenate(parts).astype(np.float32), ends


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("noise", [0.0, 0.01], ids=["clean", "noisy"])
def test_seconds_and_words_are_cut_at_the_same_place(language, noise):
    """At a pause, and where a sentence or clause ends; the pace of the part is that of the whole."""
    words = TEXTS[language]
    wave, ends = spoken(words)
    wave += (noise * np.random.default_rng(1).standard_normal(len(wave))).astype(np.float32)
    duration = len(wave) / RATE
    most = 0.7 * duration
    part = excerpt(
        words, find_pauses(wave, RATE), duration=duration, least=most / 2, most=most,
        otherwise=quietest_place(wave, RATE, after=0.8 * most, before=most),
    )  # fmt: skip
    assert words.startswith(part.words)
    assert part.left_out
    assert most / 2 <= part.seconds <= most
    letters = sum(map(str.isalpha, words))
    assert sum(map(str.isalpha, part.words)) / letters == pytest.approx(part.seconds / duration, rel=0.15)
    if ends:
        assert not part.words[-1].isalpha()
        count = sum(map(is_end, part.words))
        if is_end(part.words[-1]):
            assert ends[count - 1] - 0.45 < part.seconds < ends[count - 1] + 0.05


def test_the_longest_pause_is_preferred():
    """Of several that fit alike."""
    words = "one two three, four five six. seven eight nine, ten eleven twelve. more and more"
    part = excerpt(words, [(3.0, 3.1), (6.0, 6.8), (9.2, 9.3)], duration=16.0, least=5.0, most=12.0, otherwise=12.0)
    assert part.words == "one two three, four five six."
    assert part.seconds == pytest.approx(6.4)


@pytest.mark.parametrize("words", ["one", "Hi!", "词", "a b"])
def test_few_words_leave_one(words):
    """There is always something said."""
    part = excerpt(words, [], duration=20.0, least=6.0, most=12.0, otherwise=11.0)
    assert part.words
    assert words.startswith(part.words)
    assert part.seconds == 11.0


def test_numbers_count_as_words():
    """A digit is spoken as long as a word of four letters."""
    words = "1234 5678 aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa"
    part = excerpt(words, [(10.0, 10.2)], duration=20.2, least=6.0, most=12.0, otherwise=12.0)
    assert part.words == "1234 5678"


@pytest.mark.parametrize("constant", [0.0, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_pauses_are_found(noise, constant):
    """Over noise and over a constant, at the edges too."""
    rng = np.random.default_rng(0)
    parts = [0.0, 0.2, 0.0, 0.2, 0.0]
    seconds = [0.5, 1.0, 0.3, 1.0, 0.4]
    wave = np.concatenate(
        [level * rng.standard_normal(round(s * RATE)) for level, s in zip(parts, seconds, strict=True)]
    )
    wave = (wave + noise * rng.standard_normal(len(wave)) + constant).astype(np.float32)
    found = find_pauses(wave, RATE)
    assert np.allclose(found, [(0, 0.5), (1.5, 1.8), (2.8, 3.2)], atol=0.03)
    assert find_pauses(wave[:0], RATE) == []


def test_the_quietest_place():
    """Where there is no pause."""
    time = np.arange(4 * RATE) / RATE
    wave = (np.sin(2000 * time) * (0.2 + np.abs(time - 2.7))).astype(np.float32)
    assert quietest_place(wave, RATE, after=1.0, before=4.0) == pytest.approx(2.7, abs=0.03)
