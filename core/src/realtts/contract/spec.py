"""The description that a plugin gives of itself without importing anything heavy: `ProviderSpec` and its parts.

Only the standard library is imported here, because every installed spec is imported to list the providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path  # noqa: TC003 - pydantic reads the fields' types when a spec goes over the wire
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.errors import InvalidPlugin, closest

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.options import Options

__all__ = ["API_VERSION", "CAPABILITIES", "TEXT_STEPS", "Checkpoint", "Environment", "ProviderSpec", "WantedFile"]

API_VERSION = 1
"""The contract between core and plugins; a plugin that declares another is listed as broken."""

CAPABILITIES: dict[str, str] = {
    "clone": "speaks with the voice of a reference recording",
    "voices": "has built-in voices",
    "blends": "mixes its built-in voices: `one:0.6,other:0.4`",
    "speed": "changes its speaking rate itself (otherwise the audio is time-stretched)",
    "marks": "yields word or sentence timings",
    "ssml": "reads SSML itself, by an option `ssml` of its own (otherwise the core does, for every provider)",
    "pitch": "changes pitch and range of pitch itself where SSML asks for it",
    "emphasis": "emphasises a text where SSML asks for it",
    "spelling": "spells a text where SSML asks for it (otherwise the core writes its letters apart)",
    "phonemes": "speaks phonemes that SSML gives in place of a text",
    "gender": "speaks as a man or a woman where SSML asks for it, with whatever voice",
    "instruct": "follows a style instruction in words",
    "streaming": "yields audio before the whole text is spoken",
    "unlisted_voices": "takes names of voices that it does not list, and judges them itself",
}
"""What a provider may declare that it can do."""

TEXT_STEPS: dict[str, str] = {
    "compatibility": "letters and digits in other forms become plain ones: full-width, styled, circled, ligatures",
    "invisible": "characters that only steer how a text is drawn are removed; joiners stay where a script needs them",
    "composition": "letters and the marks on them become one character where there is one: Unicode's form NFC",
    "spaces": "spaces of other widths, no-break spaces too, become spaces, so that they group digits",
    "signs": "hyphens and signs that have several characters become the usual one, a minus before a number among them",
}
"""The steps of the text front end, in their order; a provider may decline some."""

DEVICES = ("cuda", "mps", "cpu")
"""The types of device that a provider may name."""

WantedFile = str | tuple[str | None, ...]
"""A file's name or pattern, or alternatives, best first; None as the last one lets the file be missing."""

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000
"""Sample rates of chunks and recordings, in Hz."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights that a provider can load.

    Attributes:
        name: What users pass as ``model=``.
        source: Hub id such as ``"ResembleAI/chatterbox"``; empty when the plugin carries the data itself.
        size_bytes: Size of the files that are used, or None when unknown.
        licence: SPDX expression or name of the weights' licence.
        revision: Pinned revision of the hub repository: a commit, so that its files are the same for ever.
        configuration: What it is of, one of the spec's ``configurations``, set by the core when the user said so.
        path: Local folder, set by the core when the user gave one; never by a plugin.
        files: What is used of it, see `realtts.checkpoints.fetch`: names, patterns, or tuples of alternatives such as
            ``("model.safetensors", "model.pt")``, best first; None as the last alternative lets the file be missing.
        sample_rate: Hz of its speech; None: the first of the spec's ``sample_rates``.
        languages: Those of the spec's ``languages`` that it speaks, its default first; empty: all.
    """

    name: str
    source: str = ""
    size_bytes: int | None = None
    licence: str = ""
    revision: str | None = None
    path: Path | None = None
    configuration: str = ""
    files: tuple[WantedFile, ...] = ()
    sample_rate: int | None = None
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Lists are accepted and frozen, as in the spec: a checkpoint may be used as a key.
        object.__setattr__(self, "languages", tuple(self.languages))
        entries: Any = self.files
        if not isinstance(entries, str):  # a string is told by `realtts.checkpoints`, which checks the entries
            files = tuple(tuple(item) if isinstance(item, list) else item for item in entries)
            object.__setattr__(self, "files", files)


@dataclass(frozen=True)
class Environment:
    """What the provider's isolated environment is built from.

    Attributes:
        python: Version specifier such as ``">=3.10,<3.13"``; empty means the core's own range.
        requirements: PEP 508 requirements beside the plugin's own.
        overrides: Requirements that replace what upstream pins, extras and markers restated.
        exclude: Distributions that upstream requires and that are never used.
    """

    python: str = ""
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProviderSpec:
    """A provider, as its entry point in the group ``realtts.providers`` names it.

    Only ``name``, ``summary``, ``sample_rates`` and ``plain`` are required.

    Attributes:
        name: Provider name, equal to the entry point's; lower case letters, digits, ``-`` and ``_``.
        summary: One line for people who choose a provider.
        sample_rates: Rates in Hz that chunks may have, the usual one first.
        plain: Import path ``"package.module:Class"`` of the plain variant: it must define `load` and `generate`.
        optimized: Import path of the optimized variant; hooks that it leaves out are taken from ``plain``.
        options: Subclass of `realtts.Options` with the provider's own options, or its import path as a string,
            which keeps pydantic out of the spec's import.
        capabilities: Keys of `CAPABILITIES`.
        voices: Import path of a function ``(checkpoint: Checkpoint | None) -> Sequence[VoiceInfo] | None`` that lists
            the built-in voices without weights and without the network; None from it: only the model knows them.
        unread: Import path of a function ``(checkpoint: Checkpoint | None, text: str, language: str | None) ->
            Sequence[Unread] | None`` that names what of a text the provider cannot say, without weights and without
            the network; None from it: only the model knows.
        check_request: Import path of a function ``(checkpoint: Checkpoint | None, request: Request) -> None`` that
            raises the error of a request for which something is not installed here, before anything is loaded or
            fetched; the request's text is a piece of the caller's, or empty where that is still being written.
        languages: BCP 47 tags that the provider speaks, the default one first; empty means that it is not checked.
        checkpoint_languages: Import path of a function ``(checkpoint: Checkpoint) -> Sequence[str] | None`` that names
            which of ``languages`` a checkpoint of the user's own speaks, its default first, without weights and without
            the network; None from it: all.
        language_names: The model's own names of languages that are no names elsewhere, as pairs: the name, and one of
            ``languages``, or an empty text where it means that the model finds the language out. Codes and usual names
            are known to the core (`realtts.kit.languages`).
        checkpoints: Weights that can be loaded, the default one first.
        configurations: Names that ``configuration=`` may have, for weights whose files do not tell what they are of.
        licence: SPDX expression of the plugin's code.
        devices: Device types that it can run on, best first: ``"cuda"``, ``"mps"``, ``"cpu"``.
        torch: Whether it runs on torch: its stages then run with torch's global flags set from the settings.
        max_chars: Longest text for one call of `generate`; longer texts are split at sentences by the facade.
            None: the provider takes text of any length.
        batch_size: Most requests that one call of `generate_batch` may carry.
        reference_seconds: Shortest and longest reference recording that it can clone from.
        reference_text: ``"unused"``, ``"optional"`` or ``"required"``: the words of the reference recording.
        max_seconds_per_char: Audio longer than ``5 s + this x len(text)`` is a runaway and is stopped.
        min_seconds_per_char: Audio shorter than ``this x letters and digits of the text`` ended too early and is
            spoken once more. 0: never.
        declined_text_steps: Keys of `TEXT_STEPS` that the text must not pass, because the model reads what they change.
        normalize: What happens to numbers, dates and signs where the call does not say: ``"off"``: nothing;
            ``"auto"``: the core puts them into words; ``"own"``: the provider reads them itself, always.
        upstream_names: Arguments of the model's own package that are called otherwise here, as pairs: theirs, and the
            option, argument of `generate` or setting that it is; or, where there is none, an instruction. Those that
            many packages share are known to the core (`realtts.arguments`).
        environment: What the isolated environment is built from.
        embedded: It speaks at once, without weights to fetch: one of those from which the default voice is chosen when
            the user has chosen none.
        remote: It speaks through a server of somebody else's: ``model=`` is the server's address (``http://``,
            ``https://``) or the name of a model there, never a file of this machine, and nothing is fetched.
        api: Version of the plugin contract that the plugin is written for.
    """

    name: str
    summary: str
    sample_rates: tuple[int, ...]
    plain: str
    optimized: str | None = None
    options: type[Options] | str | None = None
    capabilities: frozenset[str] = frozenset()
    voices: str | None = None
    unread: str | None = None
    check_request: str | None = None
    languages: tuple[str, ...] = ()
    checkpoint_languages: str | None = None
    language_names: tuple[tuple[str, str], ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    configurations: tuple[str, ...] = ()
    licence: str = ""
    devices: tuple[str, ...] = ("cpu",)
    torch: bool = False
    max_chars: int | None = None
    batch_size: int = 8
    reference_seconds: tuple[float, float] = (0.5, 60.0)
    reference_text: str = "unused"
    max_seconds_per_char: float = 1.0
    min_seconds_per_char: float = 0.0
    declined_text_steps: tuple[str, ...] = ()
    normalize: str = "off"
    upstream_names: tuple[tuple[str, str], ...] = ()
    environment: Environment = field(default_factory=Environment)
    embedded: bool = False
    remote: bool = False
    api: int = API_VERSION

    def __post_init__(self) -> None:
        for f in fields(self):
            # Lists and sets are accepted and frozen: a spec may be shared between threads and used as a key.
            value = getattr(self, f.name)
            if f.name == "capabilities" and isinstance(value, (list, tuple, set)):
                object.__setattr__(self, f.name, frozenset(value))
            elif f.name in {"upstream_names", "language_names"} and isinstance(value, (list, tuple, Mapping)):
                pairs: Any = value.items() if isinstance(value, Mapping) else value
                object.__setattr__(self, f.name, tuple(tuple(x) if isinstance(x, list) else x for x in pairs))
            elif isinstance(value, list):
                object.__setattr__(self, f.name, tuple(value))
        for rule in _RULES:
            value = getattr(self, rule.field)
            if not rule.allows(value):
                hint = _closest_capability(value) if rule.field == "capabilities" else ""
                raise InvalidPlugin(
                    f"{rule.field} is {value!r:.80}{hint}", who=f"provider {self.name!r}", fix=f"give {rule.expected}"
                )


class _Rule(NamedTuple):
    """What a field of a spec may be."""

    field: str
    allows: Callable[[Any], bool]
    expected: str


def _is_rate(value: Any) -> bool:
    return _is_int(value) and LOWEST_RATE <= value <= HIGHEST_RATE


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_import_path(value: Any) -> bool:
    return _matches(_IMPORT_PATH, value)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_tuple(value: Any, of: Callable[[Any], bool], *, least: int = 0) -> bool:
    return isinstance(value, tuple) and len(value) >= least and all(of(item) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_pair(value: Any) -> bool:
    return _is_tuple(value, _is_text) and len(value) == 2


def _is_name(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _is_text(value[0]) and isinstance(value[1], str)


def _is_span(value: Any) -> bool:
    return _is_tuple(value, _is_number) and len(value) == 2 and value[0] < value[1]


def _closest_capability(value: Any) -> str:
    unknown = [name for name in value if name not in CAPABILITIES] if isinstance(value, frozenset) else []
    return closest(str(unknown[0]), CAPABILITIES) if unknown else ""


_RULES = (
    _Rule("name", lambda v: _matches(_NAME, v), "lower case letters, digits, '-' and '_', a letter first"),
    _Rule("summary", _is_text, "one line that says what it is"),
    _Rule("sample_rates", lambda v: _is_tuple(v, _is_rate, least=1), "a tuple of whole numbers of Hz, 4000 to 384000"),
    _Rule("plain", _is_import_path, 'an import path such as "package.module:Class"'),
    _Rule("optimized", lambda v: v is None or _is_import_path(v), 'an import path such as "package.module:Class"'),
    _Rule(
        "options",
        lambda v: v is None or isinstance(v, type) or _is_import_path(v),
        "a subclass of realtts.Options or its import path",
    ),
    _Rule(
        "capabilities",
        lambda v: isinstance(v, frozenset) and v <= CAPABILITIES.keys(),
        f"a set of names from {', '.join(CAPABILITIES)}",
    ),
    _Rule("voices", lambda v: v is None or _is_import_path(v), 'an import path such as "package.module:function"'),
    _Rule("unread", lambda v: v is None or _is_import_path(v), 'an import path such as "package.module:function"'),
    _Rule(
        "check_request", lambda v: v is None or _is_import_path(v), 'an import path such as "package.module:function"'
    ),
    _Rule("languages", lambda v: _is_tuple(v, _is_text), "a tuple of BCP 47 tags"),
    _Rule(
        "checkpoint_languages",
        lambda v: v is None or _is_import_path(v),
        'an import path such as "package.module:function"',
    ),
    _Rule("language_names", lambda v: _is_tuple(v, _is_name), "pairs of a name and one of the languages"),
    _Rule("checkpoints", lambda v: _is_tuple(v, lambda c: isinstance(c, Checkpoint)), "a tuple of realtts.Checkpoint"),
    _Rule("configurations", lambda v: _is_tuple(v, _is_text), "a tuple of names"),
    _Rule("licence", lambda v: isinstance(v, str), "an SPDX expression"),
    _Rule(
        "devices", lambda v: _is_tuple(v, DEVICES.__contains__, least=1), f"a tuple of names from {', '.join(DEVICES)}"
    ),
    _Rule("normalize", lambda v: isinstance(v, str) and v in {"off", "auto", "own"}, '"off", "auto" or "own"'),
    _Rule("torch", lambda v: isinstance(v, bool), "True or False"),
    _Rule("max_chars", lambda v: v is None or (_is_int(v) and v >= 20), "None or a whole number of at least 20"),
    _Rule("batch_size", lambda v: _is_int(v) and v >= 1, "a whole number of at least 1"),
    _Rule("reference_seconds", _is_span, "the shortest and the longest recording, in seconds"),
    _Rule("reference_text", ("unused", "optional", "required").__contains__, "'unused', 'optional' or 'required'"),
    _Rule("max_seconds_per_char", _is_number, "a positive number"),
    _Rule("min_seconds_per_char", lambda v: v == 0 or _is_number(v), "a number of seconds, or 0"),
    _Rule(
        "declined_text_steps",
        lambda v: _is_tuple(v, TEXT_STEPS.__contains__),
        f"a tuple of names from {', '.join(TEXT_STEPS)}",
    ),
    _Rule("upstream_names", lambda v: _is_tuple(v, _is_pair), "pairs of upstream's name and ours"),
    _Rule("environment", lambda v: isinstance(v, Environment), "a realtts.Environment"),
    _Rule("embedded", lambda v: isinstance(v, bool), "True or False"),
    _Rule("remote", lambda v: isinstance(v, bool), "True or False"),
    _Rule("api", _is_int, "the version of the plugin contract, a whole number"),
)
