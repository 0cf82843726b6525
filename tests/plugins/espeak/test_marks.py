"""Marks: every word, at its time, as it stands in the caller's text."""

from __future__ import annotations

import numpy as np
import pytest

RATE = 22050


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "Hello, world!", "Hello|world"),
        ("en", "\"Don't,\" he said (twice)… it's 5 o’clock.", "Don't|he|said|twice|it's|5|o’clock"),
        ("en", "One of the best in the world.", "One|of|the|best|in|the|world"),
        ("en", "It cost $1,234.50, or 42.5% of 9.", "It|cost|$1,234.50|or|42.5%|of|9"),
        ("en", "A well-known e-mail: me@site.org, U.S.A.", "A|well-known|e-mail|me@site.org|U.S.A"),
        ("en", "Yes—no. The boys' toys", "Yes|no|The|boys|toys"),
        ("en", "a 😀 b 👨‍👩‍👧 c", "a|😀|b|👨‍👩‍👧|c"),
        ("en", "cafe\u0301 re\u0301sume\u0301 now", "cafe\u0301|re\u0301sume\u0301|now"),
        ("en", "  First.\n\n\tSecond   one.\r\nThird. ", "First|Second|one|Third"),
        ("en", "The <b>bold</b> &amp; [[h@loU]] end", "The|<b>bold</b>|&amp|h@loU|end"),
        ("de", "Schöne Grüße über Öl am 21. Mai.", "Schöne|Grüße|über|Öl|am|21|Mai"),
        ("fr", "L'été, j'ai 12 ans aujourd'hui.", "L'été|j'ai|12|ans|aujourd'hui"),
        ("ru", "Привет, мир! Это iPhone.", "Привет|мир|Это|iPhone"),
        ("hi", "नमस्ते दुनिया, आप कैसे हैं?", "नमस्ते|दुनिया|आप|कैसे|हैं"),
        ("ar", "مرحبا بالعالم", "مرحبا|بالعالم"),
        ("cmn", "你好,世界。今天很好!", "你好|世|界|今|天|很好"),
        ("cmn", "我喜欢 Python 编程。", "我|喜|欢|Python|编|程"),
        ("ko", "안녕하세요 세계", "안녕하세요|세계"),
        ("th", "สวัสดีชาวโลก", "สวัสดีชาวโลก"),
    ],
    ids=lambda value: value[:24] if "|" not in value else "",
)
def test_words(say, language: str, text: str, words: str) -> None:
    """The text under each span is the word; spans and times are in order and within bounds."""
    spoken = say(text, language=language)
    assert "|".join(spoken.words) == words
    end = at = 0.0
    for mark in spoken.marks:
        assert at <= mark.span[0] < mark.span[1] <= len(text)
        assert end <= mark.start < mark.end <= spoken.duration + 1e-9
        assert mark.kind == "word"
        end, at = mark.end, mark.span[1]


@pytest.mark.parametrize("arguments", [{}, {"rate": 90}, {"rate": 450}, {"speed": 4.0}, {"variant": "f3"}], ids=str)
def test_marks_match_the_sound(say, arguments: dict) -> None:
    """Each word is loud between its marks, and the pauses between sentences are silent."""
    spoken = say("Nine lions. Nine lemons, nine melons.", **arguments)
    level = np.abs(spoken.samples)
    for mark in spoken.marks:
        assert level[round(mark.start * RATE) : round(mark.end * RATE)].max() > 0.1
    gap = spoken.marks[2].start - spoken.marks[1].end
    assert gap > 0.02
    silent = level[round(spoken.marks[1].end * RATE) : round(spoken.marks[2].start * RATE)]
    assert silent.max() < 0.01


def test_onsets_follow_pauses(say) -> None:
    """After a long gap, sound begins where the mark says, within 30 ms."""
    spoken = say("Nine melons on a lemon moon.", word_gap=30)
    loud = np.abs(spoken.samples) > 0.02
    for mark in spoken.marks[1:]:
        start = round(mark.start * RATE)
        assert not loud[start - RATE // 10 : start].any()
        assert loud[start : start + round(0.03 * RATE)].any()


def test_times_run_on_over_sentences(say) -> None:
    """A later sentence's times start where its chunk starts."""
    spoken = say("First one. Second one. Third one.")
    starts = np.cumsum([0.0, *(chunk.duration for chunk in spoken.chunks)])
    assert len(spoken.chunks) == 3
    for chunk, start in zip(spoken.chunks, starts, strict=False):
        assert chunk.marks[0].start == pytest.approx(start, abs=0.05)
