"""What a call asks of the words of its speech: that they are all there, and when each is spoken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.errors import InvalidOption
from realtts.listening.libraries import check_libraries
from realtts.listening.recognizer import find_recognizer

if TYPE_CHECKING:
    from realtts.contract.spec import ProviderSpec
    from realtts.listening import Recognizer
    from realtts.settings import Settings

__all__ = ["WordsAsked", "words_asked"]


@dataclass(frozen=True)
class WordsAsked:
    """What a call asks of its words.

    Attributes:
        recognizer: Who hears.
        language: Of pieces whose request names none; None: by their script.
        check_words: A piece is spoken again whose words are not all there.
        align: Pieces without timings of words get them.
    """

    recognizer: Recognizer
    language: str | None
    check_words: bool
    align: bool


def words_asked(
    check_words: Any, timestamps: Any, *, own_markup: bool, spec: ProviderSpec, settings: Settings
) -> WordsAsked | None:
    """Check the arguments of a call, and load the recognizer if they ask for one; None: they do not.

    Args:
        check_words: Speak a piece again whose words are not all there.
        timestamps: ``"align"``: find the time of every word, where the provider gives none.
        own_markup: The text is SSML that the provider reads itself.
        spec: Who speaks.
        settings: Of the provider.

    Raises:
        InvalidOption: An argument is wrong, or the text is such SSML.
        MissingExtra, CheckpointError: There is no recognizer.
    """
    who = f"provider {spec.name!r}"
    if not isinstance(check_words, bool):
        raise InvalidOption(f"check_words is {check_words!r:.60}", who=who, fix="give True or False")
    if timestamps is not None and timestamps != "align":
        raise InvalidOption(f"timestamps is {timestamps!r:.60}", who=who, fix='give "align" or None')
    if not check_words and timestamps is None:
        return None
    if own_markup:
        raise InvalidOption(
            "its words cannot be listened for: it is SSML that the provider reads itself", who=who,
            fix="leave out check_words and timestamps, or ssml",
        )  # fmt: skip
    check_libraries()
    threads = settings.threads if isinstance(settings.threads, int) else None
    recognizer = find_recognizer(settings.recognizer, threads)
    return WordsAsked(recognizer, _own_language(spec), check_words, align=timestamps is not None)


def _own_language(spec: ProviderSpec) -> str | None:
    """Return the language of texts whose call names none, where the provider has a single one."""
    primaries = {tag.partition("-")[0].lower() for tag in spec.languages}
    return primaries.pop() if len(primaries) == 1 else None
