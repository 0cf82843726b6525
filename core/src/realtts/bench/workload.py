"""What a benchmark speaks, and how: texts of our own in many languages, repeats, and the number of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from realtts.errors import InvalidOption, UnknownLanguage
from realtts.synthesis.validate import check_language

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtts.contract.spec import ProviderSpec

__all__ = ["TEXT_SETS", "Text", "Workload", "load_texts"]

TEXT_SETS = ("short", "long", "multilingual")
"""The sets that come with realtts."""


@dataclass(frozen=True)
class Text:
    """A text of a workload.

    Attributes:
        text: What to say.
        language: BCP 47 tag, or None for the provider's default.
    """

    text: str
    language: str | None = None

    @property
    def words(self) -> int:
        """Stretches between white space; 1 for a sentence of a script without spaces."""
        return len(self.text.split())


@dataclass(frozen=True)
class Workload:
    """What both variants speak.

    Attributes:
        texts: The texts, at least one.
        name: Name of the text set, or ``"text"``.
        repeats: How often each text is timed, after it was spoken once untimed.
        stream: Through `stream` instead of `generate`.
        batch: Copies of each text that are spoken in one call of `generate_batch`; 1: no batch.
        tokens: Tokens that a text of mean length decodes, longer ones more in proportion; None: to the end token.
        seed: Of every request.
        voice: As `RealProvider.generate`.
        options: The provider's own options.
    """

    texts: tuple[Text, ...]
    name: str = "text"
    repeats: int = 5
    stream: bool = False
    batch: int = 1
    tokens: int | None = None
    seed: int = 0
    voice: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (("repeats", 1, 10_000), ("batch", 1, 1024), ("tokens", 1, 1_000_000)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InvalidOption(f"{name} is {value}", who="bench", fix=f"give a number from {low} to {high}")
        if self.stream and self.batch > 1:
            raise InvalidOption("stream and batch are both given", who="bench", fix="give one of the two")
        if not self.texts or not all(item.text.strip() for item in self.texts):
            raise InvalidOption("there is no text to speak", who="bench", fix="give some words")

    @classmethod
    def of_set(cls, name: str, **changes: Any) -> Workload:
        """Make a workload of one of the shipped sets.

        Raises:
            InvalidOption: There is no set of that name, or a change is out of range.
        """
        return cls(texts=load_texts(name), name=name, **changes)

    @property
    def chars(self) -> int:
        """Characters of all texts."""
        return sum(len(item.text) for item in self.texts)

    @property
    def tokens_per_char(self) -> float | None:
        """The setting ``force_tokens_per_char`` that `tokens` amounts to."""
        return None if self.tokens is None else self.tokens * len(self.texts) / self.chars

    def at_rate(self, tokens_per_char: float) -> Workload:
        """Return the workload with a number of tokens forced per character."""
        return replace(self, tokens=max(1, round(tokens_per_char * self.chars / len(self.texts))))

    def spoken_by(self, spec: ProviderSpec) -> tuple[Workload, list[str]]:
        """Return the workload without the languages that a provider lacks, and those languages.

        Raises:
            UnknownLanguage: None is left.
        """
        lacking: list[str] = []
        texts = [item for item in self.texts if _speaks(spec, item.language, lacking)]
        if not texts:
            what, who = f"it speaks none of {', '.join(lacking)}", f"provider {spec.name!r}"
            raise UnknownLanguage(what, who=who, fix="give a --text of your own")
        return replace(self, texts=tuple(texts)), lacking


def load_texts(name: str) -> tuple[Text, ...]:
    """Read the texts of a shipped set.

    Raises:
        InvalidOption: There is no set of that name.
    """
    if name not in TEXT_SETS:
        raise InvalidOption(f"there is no text set {name!r}", who="bench", fix=f"choose from {', '.join(TEXT_SETS)}")
    file = resources.files("realtts.bench") / "data" / f"{name}.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(Text(text, language) for language, _, text in (line.partition("\t") for line in lines) if text)


def _speaks(spec: ProviderSpec, language: str | None, lacking: list[str]) -> bool:
    try:
        check_language(language, spec)
    except UnknownLanguage:
        lacking.append(str(language))
        return False
    return True


def words_of(texts: Sequence[Text]) -> int:
    """Count the words of all texts."""
    return sum(item.words for item in texts)
