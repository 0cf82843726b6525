"""Whether a text is normalized, in which language, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from realtts.errors import InvalidOption, MissingExtra
from realtts.text.frontend import Change, PreparedText
from realtts.text.normalize import check_libraries, guess_language, is_known, normalized
from realtts.text.normalize.words import WORDS

if TYPE_CHECKING:
    from realtts.contract.spec import ProviderSpec
    from realtts.settings import Settings

__all__ = ["Normalizer", "check_normalize"]

Normalize = Literal["auto", "off"]

STEP = "normalize"
"""Name of the step in a list of changes."""

_LATIN = WORDS.keys() - {"ru", "ja", "ko", "zh", "ar", "el", "he", "hi"}


def check_normalize(value: Any, who: str) -> Normalize | None:
    """Return the argument ``normalize`` of a call.

    Raises:
        InvalidOption: It is neither ``"auto"`` nor ``"off"`` nor None.
    """
    if value is None or (isinstance(value, str) and value in {"auto", "off"}):
        return cast("Normalize | None", value)
    raise InvalidOption(f"normalize is {value!r:.60}", who=who, fix='give "auto", "off" or None')


@dataclass(frozen=True)
class Normalizer:
    """The normalization of one call.

    Attributes:
        spec: The provider.
        wanted: Texts are normalized.
        missing: Why they are not, though the provider would have it so.
    """

    spec: ProviderSpec
    wanted: bool
    missing: str = ""

    @classmethod
    def of(cls, asked: Normalize | None, spec: ProviderSpec, settings: Settings) -> Normalizer:
        """Decide by the call, else by the settings, else by the provider.

        Raises:
            MissingExtra: It was asked for, and the libraries are not installed.
        """
        chosen = asked or settings.normalize
        if spec.normalize == "own" or (chosen or spec.normalize) == "off":
            return cls(spec, wanted=False)
        try:
            check_libraries()
        except MissingExtra as error:
            if chosen is not None:
                raise
            return cls(spec, wanted=False, missing=f"The text was not normalized: {error.what}; {error.fix}.")
        return cls(spec, wanted=True)

    def apply(self, text: PreparedText, language: str | None) -> tuple[PreparedText, tuple[str, ...]]:
        """Return the text in words, and what the caller should know.

        Args:
            text: Behind the front end.
            language: Of the call; None: of the script, or the provider's own.
        """
        if not self.wanted:
            return text, (self.missing,) if self.missing else ()
        spoken = language or self._language(text.edited.text)
        if not is_known(spoken):
            return text, (f'The text was not normalized: normalize="auto" has no words of the language {spoken!r}.',)
        after = normalized(text.edited, spoken)
        if after.text == text.edited.text:
            return text, ()
        told: tuple[str, ...] = ()
        if language is None and len(_primaries(self.spec)) != 1:
            told = (f"Numbers and signs were read in the language {spoken!r}, for none was named: give language=.",)
        return PreparedText(after, (*text.changes, Change(STEP, after.text))), told

    def _language(self, text: str) -> str:
        """Return the language of the script, if the provider speaks it: a few foreign letters change no number."""
        guessed = guess_language(text)
        first = next(iter(self.spec.languages), "en")
        spoken = _primaries(self.spec)
        if spoken and guessed not in spoken:
            return first
        return first if guessed == "en" and first.partition("-")[0] in _LATIN else guessed


def _primaries(spec: ProviderSpec) -> set[str]:
    """Return the languages that a provider speaks, without regions and scripts."""
    return {tag.partition("-")[0].lower() for tag in spec.languages}
