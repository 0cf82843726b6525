"""What servers answer to each error: one table for all of them, in the numbers of HTTP."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realtts import errors
from realtts.settings_sources import cache_dir, data_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "answer_to", "without_paths"]

_FIELDS: tuple[tuple[type[errors.InputError], str], ...] = (
    (errors.TextError, "input"),
    (errors.VoiceError, "voice"),
    (errors.UnknownLanguage, "language"),
    (errors.UnknownCheckpoint, "model"),
    (errors.OptionError, "options"),
    (errors.OutputError, "response_format"),
)

_WORDS_OF_RECORDING = ", reference_text"
"""How `RealTTSError.who` ends where the words of a recording are at fault, rather than text or voice."""

_DOWNLOAD_S = 60


@dataclass(frozen=True)
class Answer:
    """An answer to a request that failed.

    Attributes:
        status: Of HTTP.
        code: A word for programs, such as ``"voice_not_found"``.
        message: What is wrong and what can be done, for people; without a path of this machine.
        field: What the request calls the part at fault; None: no part.
        retry_after_s: When to try again; None: no time is known.
        retry: Whether the same request may succeed later.
    """

    status: int
    code: str
    message: str
    field: str | None = None
    retry_after_s: int | None = None
    retry: bool = False

    @property
    def is_callers(self) -> bool:
        """Whether the caller can mend it."""
        return self.status < 500 and self.status != 429


def answer_to(error: BaseException) -> Answer:
    """Return what a server says of an error. What is not the caller's fault is told in general words."""
    code = _code(type(error))
    if isinstance(error, errors.Busy):
        wait = max(1, math.ceil(error.wait_s or 1))
        return Answer(429, "busy", _sentences(error.what, error.fix), retry_after_s=wait, retry=True)
    if isinstance(error, errors.InputError):
        field = next((name for kind, name in _FIELDS if isinstance(error, kind)), None)
        if isinstance(error, errors.OptionError):
            field = error.argument or field
        elif error.who.endswith(_WORDS_OF_RECORDING):
            field = "reference_text"
        return Answer(400, code, without_paths(str(error)), field)
    if isinstance(error, (errors.UnknownProvider, errors.NoProvider)):
        return Answer(404, "model_not_found", _sentences(error.what, error.fix), "model")
    if isinstance(error, errors.RequestTimeout):
        return Answer(504, code, _sentences(error.what, error.fix))
    if isinstance(error, (errors.ProviderClosed, errors.WorkerDied)):
        return Answer(503, code, "the model is being started again", retry_after_s=1, retry=True)
    if isinstance(error, errors.MissingExtra):
        return Answer(501, code, _sentences(error.what, error.fix))
    if isinstance(error, errors.CheckpointError):
        what = "the files of the model cannot be had; the server's log says why"
        return Answer(503, code, what, retry_after_s=_DOWNLOAD_S)
    return Answer(500, code, "the model failed; the server's log says why")


def _code(kind: type[BaseException]) -> str:
    """Return a class's name in small letters: ``voice_not_found``."""
    if not issubclass(kind, errors.RealTTSError):
        return "internal_error"
    name = next(each.__name__ for each in kind.__mro__ if each.__module__ == errors.__name__)
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _sentences(what: str, fix: str) -> str:
    return without_paths(f"{what}. Fix: {fix}." if fix else f"{what}.")


def without_paths(text: str) -> str:
    """Take the folders of this machine out of a message."""
    for folder in _folders():
        text = text.replace(folder, "[server]")
    return text


def _folders() -> Iterator[str]:
    """Yield the folders that a message may name, the longest first."""
    own = {Path(tempfile.gettempdir()), Path.cwd(), Path(sys.prefix), Path(sys.base_prefix)}
    try:
        own |= {data_dir(), cache_dir(), Path.home()}
    except (errors.SettingsError, RuntimeError):
        own |= {Path(os.path.expanduser("~"))}  # noqa: PTH111 - leaves what it cannot expand
    roots = {str(path) for folder in own for path in (folder, folder.resolve())}
    yield from sorted((root for root in roots if len(root) > 1), key=len, reverse=True)
