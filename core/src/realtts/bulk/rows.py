"""One row of a job: a text with who shall say it and how; and a row that is none, with the reason."""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from realtts.bulk.cells import carried, cell_text, plain_cell
from realtts.documents import parse_json
from realtts.errors import InputError, InvalidOption, InvalidText

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COLUMNS", "BadRow", "Names", "SpeechRow", "make_row"]

COLUMNS = (
    "id",
    "text",
    "voice",
    "reference_text",
    "language",
    "speed",
    "seed",
    "normalize",
    "check_words",
    "timestamps",
    "options",
)
"""Columns that mean something; others are carried into the manifest."""

_STRINGS = ("voice", "reference_text", "language", "normalize", "timestamps")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LONG_COLUMNS = [name for name in COLUMNS if len(name) > 3]  # much is like "id"
_OPTION = "options."
_ARGUMENTS = {"priority": "leave it out", "self": "leave it out", "voice_path": "give the column 'voice'"}
"""Arguments of `RealProvider.generate` that are neither columns nor options of a provider."""
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Windows has devices of these names, whatever the suffix.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)
_LONGEST_ID = 1000
_MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class SpeechRow:
    """A text to be spoken.

    Attributes:
        number: Place in the table, from 1.
        id: Names the row in the manifest; its number where the table gives none.
        text: What to say.
        voice: Built-in voice, saved voice or audio file; None: the job's.
        reference_text: Words of the audio file.
        language: BCP 47 tag or name; None: the job's.
        speed: Speaking rate; None: the job's.
        seed: None: derived from the job's seed and the id.
        normalize: ``"auto"`` or ``"off"``; None: the job's.
        check_words: Speak it again when its words are not all there; None: the job's.
        timestamps: ``"align"``: find the times of its words by listening; None: the job's.
        options: The provider's own, over the job's.
        extra: Other columns, carried into the manifest.
    """

    number: int
    id: str
    text: str
    voice: str | None = None
    reference_text: str | None = None
    language: str | None = None
    speed: float | None = None
    seed: int | None = None
    normalize: str | None = None
    check_words: bool | None = None
    timestamps: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be spoken.

    Attributes:
        number: Place in the table, from 1.
        id: As far as it could be read.
        error: What is wrong with it.
    """

    number: int
    id: str
    error: InputError


def make_row(number: int, values: Mapping[str, Any]) -> SpeechRow | BadRow:
    """Make a row of the values of a table's columns.

    Args:
        number: Place in the table, from 1.
        values: By column; None, NaN and, for all but the text, an empty string stand for a value that is not given.
            ``options.NAME`` is one option. A column without a name is passed over.
    """
    identity = str(number)
    try:
        given = _given(values)
        identity = _identity(given.pop("id", number))
        extra, options = _others(given)
        return SpeechRow(
            number=number,
            id=identity,
            text=_text(given.pop("text", None)),
            speed=_number(given.pop("speed", None), "speed"),
            seed=_seed(given.pop("seed", None)),
            check_words=_flag(given.pop("check_words", None), "check_words"),
            options=options,
            extra=extra,
            **{name: _string(given.get(name), name) for name in _STRINGS},
        )
    except InputError as error:
        return BadRow(number, identity, error)


class Names:
    """File names of the rows of a job: the id where it can be one, else what is left of it with a hash."""

    def __init__(self) -> None:
        self._used: dict[str, str] = {}

    def add(self, identity: str) -> str | None:
        """Return the name for an id without a suffix; None for an id that came before."""
        name = identity
        if not _SAFE.match(identity) or _DEVICE.match(identity) or identity.endswith("."):
            name = _hashed(identity)
        # Some file systems do not tell "a" from "A".
        owner = self._used.setdefault(name.casefold(), identity)
        if owner == identity:
            return name if self._first(identity) else None
        name = _hashed(identity)
        return name if self._used.setdefault(name.casefold(), identity) == identity and self._first(identity) else None

    def _first(self, identity: str) -> bool:
        key = f"/{identity}"  # no name holds a slash
        if key in self._used:
            return False
        self._used[key] = identity
        return True


def _hashed(identity: str) -> str:
    stem = _UNSAFE.sub("-", identity).strip("-._")[:40] or "row"
    return f"{stem}-{hashlib.sha256(identity.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are given, by the names of their columns."""
    given = {}
    for column, cell in values.items():
        name, value = str(column).strip(), plain_cell(cell)
        if name in COLUMNS:
            value = cell_text(value)
        empty = isinstance(value, str) and not value and name != "text"
        if name and not (value is None or empty):
            given[name] = value
    return given


def _identity(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # tables that know fractions only
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidOption(f"the id is {_shown(value)}", who="id", fix="give a string or a whole number")
    if len(str(value)) > _LONGEST_ID:
        raise InvalidOption(f"the id has {len(str(value)):,} characters", who="id", fix=f"at most {_LONGEST_ID:,}")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        what = "there is no text" if value is None else f"the text is {_shown(value)}"
        raise InvalidText(what, who="text", fix="give a string in the column 'text'")
    return value


def _others(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the other columns and the options; a column that is nearly one of ours is a mistake."""
    options = _options(given.pop("options", None))
    extra = {}
    for name in [name for name in given if name not in COLUMNS]:
        value = given.pop(name)
        if name.startswith(_OPTION):
            options[name.removeprefix(_OPTION)] = value
            continue
        near = difflib.get_close_matches(name.lower(), _LONG_COLUMNS, n=1, cutoff=0.75)
        if near:
            what = f"unknown column {name!r:.60} (did you mean {near[0]!r}?)"
            raise InvalidOption(what, who="columns", fix="rename or remove it")
        extra[name] = carried(value)
    return extra, _checked_options(options)


def _options(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError as error:
            fix = 'write it like {"temperature": 0.8}'
            raise InvalidOption(f"it is no JSON ({error})", who="options", fix=fix) from None
    if value is None:
        return {}
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)  # how Arrow gives a map
    if not isinstance(value, dict):
        raise InvalidOption(f"it is {_shown(value)}", who="options", fix='write it like {"temperature": 0.8}')
    return dict(value)


def _checked_options(options: dict[Any, Any]) -> dict[str, Any]:
    """Return the options that are given: tables of Arrow have all names in every row. What is no option is refused."""
    for name in options:
        if not isinstance(name, str):
            raise InvalidOption(f"a name is {_shown(name)}", who="options", fix="give strings as names")
        if name in COLUMNS or name in _ARGUMENTS:
            fix = _ARGUMENTS.get(name, f"give it in the column {name!r}")
            raise InvalidOption(f"{name!r} is no option of a provider", who="options", fix=fix)
    values = {name: plain_cell(value) for name, value in options.items()}
    return {name: value for name, value in values.items() if value is not None}


def _string(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidOption(f"it is {_shown(value)}", who=name, fix="give a string, or leave it empty")
    return value


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidOption(f"it is {_shown(value)}", who=name, fix="give a number such as 1.2") from None


def _flag(value: Any, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    flag = _FLAGS.get(str(value).strip().lower()) if isinstance(value, (str, int)) else None
    if flag is None:
        raise InvalidOption(f"it is {_shown(value)}", who=name, fix="give true or false, or leave it empty")
    return flag


def _seed(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,19}\s*", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # tables that know fractions only
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_SEED:
        raise InvalidOption(f"it is {_shown(value)}", who="seed", fix="give a whole number from 0 to 2**63 - 1")
    return value


def _shown(value: Any) -> str:
    return f"{value!r:.60}, a {type(value).__name__}"
