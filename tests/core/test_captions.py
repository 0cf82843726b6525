"""Subtitles from timings."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from realtts.contract.types import Mark
from realtts.errors import OutputError
from realtts.synthesis.speech import Speech
from realtts.text import captions, sentences

STORY = (
    'He said: "Dr. Smith isn\'t here." — Then a very long sentence followed, one that went on and on and on without '
    "end until it stopped. Fin (really)!\n\n“New” paragraph."
)


def words(text, seconds=0.4, pattern=r"[\w']+"):
    """A mark for every word, one after the other without pauses."""
    return [Mark(n * seconds, (n + 1) * seconds, m.span()) for n, m in enumerate(re.finditer(pattern, text))]


def shown(marks, text):
    """The text of every cue, its lines joined."""
    return [" ".join(cue.lines) for cue in captions.cues(marks, text)]


def test_cues_keep_every_limit():
    """Two lines, 42 characters, 7 seconds, no overlap."""
    found = captions.cues(words(STORY), STORY)
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= 42 for line in cue.lines)
        assert 0 < cue.end - cue.start <= 7
    assert all(first.end <= second.start for first, second in pairwise(found))


def test_cues_show_the_whole_original_text():
    """Punctuation included, in order, nothing twice."""
    assert " ".join(shown(words(STORY), STORY)) == " ".join(STORY.split())


def test_a_sentence_begins_a_cue():
    """Also where the one before was short; abbreviations do not end one."""
    assert shown(words(STORY, 0.1), STORY) == [
        'He said: "Dr. Smith isn\'t here."',
        "— Then a very long sentence followed, one that went on and on and on without end",
        "until it stopped.",
        "Fin (really)!",
        "“New” paragraph.",
    ]


def test_a_pause_begins_a_cue():
    """Of more than 0.8 seconds."""
    marks = [Mark(0.0, 0.5, (0, 3)), Mark(1.2, 1.5, (4, 7)), Mark(2.4, 2.8, (8, 13))]
    assert shown(marks, "one two three") == ["one two", "three"]


def test_slow_speech_begins_a_cue_after_seven_seconds():
    """Even within a sentence; a single longer word is shown for seven seconds."""
    text = "one two three"
    found = captions.cues(words(text, 3.0), text)
    assert [cue.lines for cue in found] == [("one two",), ("three",)]
    (cue,) = captions.cues([Mark(1.0, 20.0, (0, 3))], "one")
    assert (cue.start, cue.end) == (1.0, 8.0)


def test_lines_are_balanced():
    """Two lines of about the same length read best."""
    (cue,) = captions.cues(
        words("one two three four five six seven eight nine ten", 0.1),
        "one two three four five six seven eight nine ten",
    )
    assert cue.lines == ("one two three four five", "six seven eight nine ten")


def test_a_word_longer_than_a_line_is_cut():
    """In the middle of a URL, for instance."""
    text = "See https://example.com/" + "x" * 100 + " now."
    found = captions.cues(words(text, pattern=r"\S+"), text)
    assert all(len(line) <= 42 for cue in found for line in cue.lines)
    assert "".join(line for cue in found for line in cue.lines).replace(" ", "") == text.replace(" ", "")


def test_sentence_timings_are_used_where_there_are_no_others():
    """Long ones are cut, their time in proportion."""
    marks = [Mark(n * 10.0, n * 10.0 + 8.0, span, "sentence") for n, span in enumerate(sentences(STORY))]
    found = captions.cues(marks, STORY)
    assert found[0].lines == ('He said: "Dr. Smith isn\'t here."',)
    assert (found[0].start, found[0].end) == (0.0, 7.0)
    assert 10.0 < found[2].start < 18.0
    assert " ".join(" ".join(cue.lines) for cue in found) == " ".join(STORY.split())


def test_word_timings_win_over_those_of_sentences():
    """Where a provider gives both."""
    marks = [Mark(0.0, 9.0, (0, 9), "sentence"), *words("One. Two.")]
    assert shown(marks, "One. Two.") == ["One.", "Two."]


def test_marks_may_come_in_any_order_and_overlap():
    """Text is shown once."""
    text = "one two three"
    marks = [Mark(0.5, 1.0, (4, 7)), Mark(0.0, 0.6, (0, 5)), Mark(0.6, 0.7, (4, 7)), Mark(1.0, 1.4, (8, 99))]
    assert shown(marks, text) == ["one two three"]


def test_words_without_a_timing_are_not_shown():
    """The opening quote of the next one is."""
    text = "skipped words “one” (two)"
    marks = [Mark(0.0, 0.5, (15, 18)), Mark(0.5, 0.9, (21, 24))]
    assert shown(marks, text) == ["“one” (two)"]


def test_quotes_go_with_their_words():
    """Opening ones with the next, closing ones with the last, in German too."""
    text = "„Ja.“ Er ging. “No.” He left."
    assert shown(words(text), text) == ["„Ja.“", "Er ging.", "“No.”", "He left."]


def test_japanese_is_shown_without_spaces():
    """Marks for every character."""
    text = "「行こう。」と彼は言った。そして終わった。"
    assert shown(words(text, 0.1, r"\w"), text) == ["「行こう。」と彼は言った。", "そして終わった。"]


def test_srt():
    """Numbered, with commas in the times."""
    text = "One <b>. Two."
    marks = [Mark(0.0, 0.5, (0, 3)), Mark(0.5, 0.75, (5, 6)), Mark(3661.5, 3662.0004, (9, 12))]
    assert captions.to_srt(marks, text) == (
        "1\n00:00:00,000 --> 00:00:00,750\nOne <b>.\n\n2\n01:01:01,500 --> 01:01:02,000\nTwo.\n"
    )


def test_vtt():
    """With a head, points in the times, and what would be markup escaped."""
    text = "R&D <b> --> x."
    assert captions.to_vtt(words(text, 0.5, r"\w+"), text) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nR&amp;D &lt;b&gt; --&gt; x.\n"
    )


@pytest.mark.parametrize("method", ["srt", "vtt"])
def test_speech_without_timings_has_no_subtitles(method):
    """The error says which providers give them."""
    with pytest.raises(OutputError, match="capability 'marks'"):
        getattr(Speech(samples=None, sample_rate=24_000, text="Hi."), method)()


def test_speech_with_timings_has_subtitles():
    """Through the methods that users call."""
    speech = Speech(samples=None, sample_rate=24_000, text="Hi there.", marks=tuple(words("Hi there.")))
    assert "Hi there." in speech.srt()
    assert speech.vtt().startswith("WEBVTT\n\n")


def test_marks_outside_the_text_give_no_cues():
    """Nothing to show is no error."""
    assert captions.cues([Mark(0.0, 1.0, (50, 60))], "short") == []


def test_scene_break_is_no_caption():
    """Decoration in a paragraph of its own neither appears nor splits what follows."""
    text = "It was over.\n\n***\n\nThe next day it rained."
    spans = [match.span() for match in re.finditer(r"[A-Za-z]+", text)]
    marks = [Mark(n * 0.3, n * 0.3 + 0.3, span) for n, span in enumerate(spans)]
    assert [cue.lines for cue in captions.cues(marks, text)] == [("It was over.",), ("The next day it rained.",)]
