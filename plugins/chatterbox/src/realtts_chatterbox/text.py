"""From text to ids, by the checkpoint's vocabulary and upstream's rules.

Text that looks like a special token is text: ``[START]``, ``[SPACE]``, ``[en]`` or ``<|endoftext|>`` in a text would
otherwise be read as the token and steer the model. The brackets are removed and the word inside is spoken. Turbo's tags
of sounds, such as ``[laugh]``, are a feature of that model and stay.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from realtts.errors import CheckpointMissing, UnknownLanguage
from realtts.kit.libraries import reading_by_library
from realtts.kit.reading import read_list, unreadable
from realtts.text import is_picture, readable_text
from realtts_chatterbox.languages import LANGUAGES
from realtts_chatterbox.scripts import Cangjie, prepared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from realtts.text import ReadableText

__all__ = ["TextReader", "punctuated"]

START, STOP = 255, 0
"""Text tokens around a text, in the models with Llama's backbone."""

_VOCABULARIES = {"english": "tokenizer.json", "multilingual": "grapheme_mtl_merged_expanded_v1.json"}
_REPLACED = (
    ("...", ", "), ("\u2026", ", "), (":", ","), (" - ", ", "), (";", ", "), ("\u2014", "-"), ("\u2013", "-"),
    (" ,", ","), ("\u201c", '"'), ("\u201d", '"'), ("\u2018", "'"), ("\u2019", "'"),
)  # fmt: skip
_NOT_OF_TURBO = {"...", " - ", ";"}
_ENDS = {"english": ".!?-,", "turbo": ".!?-,", "multilingual": ".!?-,\u3001\uff0c\u3002\uff1f\uff01"}
_NEEDS = {"zh": ("spacy_pkuseg", "spacy-pkuseg"), "ja": ("pykakasi", "pykakasi"), "he": ("dicta_onnx", "dicta-onnx")}
"""Languages whose script a package must prepare; without it upstream speaks nonsense, and raises nothing."""

_REWRITTEN = frozenset({*_NEEDS, "ko"})
"""Languages that upstream writes in other characters."""


def punctuated(text: str, kind: str) -> str:
    """Normalise a text by upstream's rules: a capital first, plain punctuation, a mark at the end.

    Args:
        text: Any text.
        kind: Name of the model; Turbo keeps more of the punctuation.
    """
    if text[:1].islower():
        text = text[0].upper() + text[1:]
    text = " ".join(text.split())
    for old, new in _REPLACED:
        if kind != "turbo" or old not in _NOT_OF_TURBO:
            text = text.replace(old, new)
    text = text.rstrip(" ")
    return text if text.endswith(tuple(_ENDS[kind])) else text + "."


class TextReader:
    """The tokenizer of a checkpoint.

    Args:
        files: The checkpoint's files by name.
        kind: Name of the model.

    Attributes:
        kind: Name of the model.

    Raises:
        CheckpointCorrupt: A file cannot be read.
    """

    def __init__(self, files: Mapping[str, Path], kind: str) -> None:
        self.kind = kind
        self._cangjie = files.get("Cangjie5_TC.json")
        path = files["tokenizer_config.json" if kind == "turbo" else _VOCABULARIES[kind]]
        with reading_by_library(path):
            self._tokenizer: Any = _turbo(path) if kind == "turbo" else _Characters(path, kind)
        self._special = frozenset(_special_of(self._tokenizer))
        self._reads = functools.lru_cache(maxsize=1 << 14)(self._has)

    def readable(self, text: str, language: str | None = None) -> ReadableText:
        """Return a text without what the vocabulary has no token for, which upstream speaks as a token of its own.

        Args:
            text: The user's text.
            language: As of `ids`.

        Raises:
            UnspeakableText: Nothing of it is left.
            UnknownLanguage: As `ids`.
        """
        language = language or LANGUAGES[0]
        if self.kind == "multilingual":
            self._require(language)
        return readable_text(text, lambda char: self._reads(char, language), who="chatterbox")

    @functools.cached_property
    def _unknown(self) -> int | None:
        return None if self.kind == "turbo" else self._tokenizer.unknown

    def _has(self, char: str, language: str) -> bool:
        """Tell whether the vocabulary has a character, after upstream's preparation of it."""
        if char.isspace():
            return True
        if self._unknown is None:  # the vocabulary has every byte, so that it says nothing of what can be read
            return not is_picture(char)
        plain = dict(_REPLACED).get(char, char).strip()
        # Others are not written otherwise by upstream; the marks of stress in Russian are put on whole words.
        return self._unknown not in self._tokenizer.ids(plain, language if language in _REWRITTEN else None)

    def ids(self, text: str, language: str | None = None) -> tuple[int, ...]:
        """Return the ids of a text, START and STOP around them where the model has them.

        What the vocabulary lacks is left out: upstream puts a token in its place, and the model speaks that.

        Args:
            text: The user's text.
            language: One of `LANGUAGES`, for the multilingual model.

        Raises:
            UnknownLanguage: The package that prepares this language's script is not installed.
        """
        return tuple(number for number in self._all_ids(text, language) if number != self._unknown)

    def reads_all(self, text: str, language: str | None = None) -> bool:
        """Tell whether the vocabulary has all of a text; arguments as of `ids`."""
        return self._unknown is None or self._unknown not in self._all_ids(text, language)

    def _all_ids(self, text: str, language: str | None) -> tuple[int, ...]:
        text = self._neutral(punctuated(text, self.kind))
        if self.kind == "turbo":
            return tuple(self._tokenizer(text).input_ids)
        language = language or LANGUAGES[0]
        if self.kind == "multilingual":
            self._require(language)
        return (START, *self._tokenizer.ids(text, language), STOP)

    def warnings(self, language: str | None) -> tuple[str, ...]:
        """Return what the user should know about this language."""
        if self.kind == "multilingual" and language == "ru" and not _installed("russian_text_stresser"):
            return ("Russian is read without marks of stress: the package russian-text-stresser is not installed.",)
        return ()

    def _neutral(self, text: str) -> str:
        """Remove the brackets of everything that the tokenizer would take for a special token."""
        seen = normalize("NFKD", text.lower()) if self.kind == "multilingual" else text
        if not any(token in seen for token in self._special):
            return text
        while any(token in seen for token in self._special):  # removing one may form another: [ST[STOP]OP]
            for token in self._special:
                seen = seen.replace(token, token.strip("[]<|>") or " ")
        return seen

    def _require(self, language: str) -> None:
        name, distribution = _NEEDS.get(language, ("", ""))
        if name and not _installed(name):
            raise UnknownLanguage(
                f"its writing must be prepared by {distribution}, which is not installed", who=f"language {language!r}",
                fix=f"install {distribution}",
            )  # fmt: skip
        if language == "zh" and self._tokenizer.cangjie is None:
            self._tokenizer.cangjie = _cangjie(self._cangjie)


class _Characters:
    """The vocabulary of English or Multilingual: characters, and pairs of letters.

    Args:
        path: Its file.
        kind: Name of the model.

    Attributes:
        multilingual: Whether text is prepared for its language.
        tokenizer: The library's.
        unknown: Id of what the vocabulary lacks.
        cangjie: Writes Chinese, once it was asked for.

    Raises:
        ValueError: The vocabulary has no START or no STOP.
    """

    def __init__(self, path: Path, kind: str) -> None:
        from tokenizers import Tokenizer

        self.multilingual = kind == "multilingual"
        self.cangjie: Cangjie | None = None
        self.tokenizer = Tokenizer.from_file(str(path))
        if None in map(self.tokenizer.token_to_id, ("[START]", "[STOP]")):
            raise ValueError("it has no [START] or no [STOP]")
        self.unknown: int | None = self.tokenizer.token_to_id("[UNK]")

    def ids(self, text: str, language: str | None) -> list[int]:
        """Return the ids of a text; a language is prepared by the multilingual vocabulary alone."""
        if self.multilingual:
            text = prepared(normalize("NFKD", text.lower()), language, self.cangjie)
            text = f"[{language}]{text}" if language else text
        ids: list[int] = self.tokenizer.encode(text.replace(" ", "[SPACE]")).ids
        return ids


def _special_of(tokenizer: Any) -> Iterable[str]:
    if not isinstance(tokenizer, _Characters):
        return {token for token in tokenizer.all_special_tokens if token.strip()}
    tokens = tokenizer.tokenizer.get_added_tokens_decoder().values()
    # Only what is written in brackets: letters and marks that upstream added to the vocabulary are spoken.
    return {t.content for t in tokens if t.content[0] + t.content[-1] in {"[]", "<>"} and len(t.content) > 2}


def _turbo(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, local_files_only=True)


def _cangjie(path: Path | None) -> Cangjie:
    """Read the checkpoint's own table of Chinese."""
    if path is None:
        raise CheckpointMissing(
            "Cangjie5_TC.json is missing, which Chinese is read with", who="chatterbox checkpoint",
            fix="put the file beside the others",
        )  # fmt: skip
    try:
        return Cangjie(read_list(path))
    except (ValueError, AttributeError, TypeError) as error:
        raise unreadable(path, error) from error


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
