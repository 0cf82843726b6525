"""From text to ids, through upstream's tokenizers.

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
from realtts.kit.reading import read_list, unreadable
from realtts.text import is_picture, readable_text
from realtts_chatterbox.languages import LANGUAGES
from realtts_chatterbox.upstream import module

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
        MissingExtra: chatterbox-tts is not installed.
    """

    def __init__(self, files: Mapping[str, Path], kind: str) -> None:
        self.kind = kind
        self._cangjie = files.get("Cangjie5_TC.json")
        path = files["tokenizer_config.json" if kind == "turbo" else _VOCABULARIES[kind]]
        try:
            self._upstream = _turbo(path) if kind == "turbo" else _with_vocabulary(path, kind)
        except Exception as error:
            raise unreadable(path, error) from error
        self._tokens = tuple(self._special())
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
        return None if self.kind == "turbo" else self._upstream.tokenizer.token_to_id("[UNK]")

    def _has(self, char: str, language: str) -> bool:
        """Tell whether the vocabulary has a character, after upstream's preparation of it."""
        if char.isspace():
            return True
        if self._unknown is None:  # the vocabulary has every byte, so that it says nothing of what can be read
            return not is_picture(char)
        plain = dict(_REPLACED).get(char, char).strip()
        # Others are not written otherwise by upstream; the marks of stress in Russian are put on whole words.
        about = {"language_id": language} if self.kind == "multilingual" and language in _REWRITTEN else {}
        return self._unknown not in self._upstream.encode(plain, **about)

    def ids(self, text: str, language: str | None = None) -> tuple[int, ...]:
        """Return the ids of a text, START and STOP around them where the model has them.

        What the vocabulary lacks is left out: upstream puts a token in its place, and the model speaks that.

        Args:
            text: The user's text.
            language: One of `LANGUAGES`, for the multilingual model.

        Raises:
            UnknownLanguage: The package that prepares this language's script is not installed.
        """
        return tuple(number for number in self._upstream_ids(text, language) if number != self._unknown)

    def reads_all(self, text: str, language: str | None = None) -> bool:
        """Tell whether the vocabulary has all of a text; arguments as of `ids`."""
        return self._unknown is None or self._unknown not in self._upstream_ids(text, language)

    def _upstream_ids(self, text: str, language: str | None) -> tuple[int, ...]:
        text = self._neutral(punctuated(text, self.kind))
        if self.kind == "turbo":
            return tuple(self._upstream(text, truncation=True).input_ids)
        if self.kind == "english":
            return (START, *self._upstream.encode(text), STOP)
        language = language or LANGUAGES[0]
        self._require(language)
        return (START, *self._upstream.encode(text, language_id=language), STOP)

    def warnings(self, language: str | None) -> tuple[str, ...]:
        """Return what the user should know about this language."""
        if self.kind == "multilingual" and language == "ru" and not _installed("russian_text_stresser"):
            return ("Russian is read without marks of stress: the package russian-text-stresser is not installed.",)
        return ()

    def _neutral(self, text: str) -> str:
        """Remove the brackets of everything that the tokenizer would take for a special token."""
        seen = normalize("NFKD", text.lower()) if self.kind == "multilingual" else text
        if not any(token in seen for token in self._tokens):
            return text
        while any(token in seen for token in self._tokens):  # removing one may form another: [ST[STOP]OP]
            for token in self._tokens:
                seen = seen.replace(token, token.strip("[]<|>") or " ")
        return seen

    def _special(self) -> Iterable[str]:
        if self.kind == "turbo":
            return {token for token in self._upstream.all_special_tokens if token.strip()}
        tokens = self._upstream.tokenizer.get_added_tokens_decoder().values()
        # Only what is written in brackets: letters and marks that upstream added to the vocabulary are spoken.
        return {t.content for t in tokens if t.content[0] + t.content[-1] in {"[]", "<>"} and len(t.content) > 2}

    def _require(self, language: str) -> None:
        name, distribution = _NEEDS.get(language, ("", ""))
        if name and not _installed(name):
            raise UnknownLanguage(
                f"its writing must be prepared by {distribution}, which is not installed", who=f"language {language!r}",
                fix=f"install {distribution}",
            )  # fmt: skip
        if language == "zh" and self._upstream.cangjie_converter is None:
            self._upstream.cangjie_converter = _cangjie(self._cangjie)


def _with_vocabulary(path: Path, kind: str) -> Any:
    """Build upstream's tokenizer; the multilingual one without its Chinese table, which it would download."""
    tokenizers = module("chatterbox.models.tokenizers.tokenizer")
    if kind == "english":
        return tokenizers.EnTokenizer(str(path))
    reader = object.__new__(tokenizers.MTLTokenizer)
    reader.tokenizer = tokenizers.Tokenizer.from_file(str(path))
    reader.cangjie_converter = None
    reader.check_vocabset_sot_eot()
    return reader


def _turbo(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, local_files_only=True)


def _cangjie(path: Path | None) -> Any:
    """Build upstream's converter of Chinese with the checkpoint's own table."""
    if path is None:
        raise CheckpointMissing(
            "Cangjie5_TC.json is missing, which Chinese is read with", who="chatterbox checkpoint",
            fix="put the file beside the others",
        )  # fmt: skip
    converter = object.__new__(module("chatterbox.models.tokenizers.tokenizer").ChineseCangjieConverter)
    converter.word2cj, converter.cj2word, converter.segmenter = {}, {}, None
    try:
        for entry in read_list(path):
            word, code = entry.split("\t")[:2]
            converter.word2cj[word] = code
            converter.cj2word.setdefault(code, []).append(word)
    except (ValueError, AttributeError, TypeError) as error:
        raise unreadable(path, error) from error
    converter._init_segmenter()
    return converter


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
