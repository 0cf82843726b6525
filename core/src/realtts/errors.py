"""Every error that realtts raises on purpose.

Each one says who is concerned, what is wrong and how to mend it; ``str(error)`` is ``"who: what. Fix: fix"``.

    RealTTSError
    ├── InputError (ValueError)      the request is wrong: raised before any model work, never steps the ladder down
    │   ├── TextError
    │   │   ├── BlankText            nothing but white space
    │   │   ├── UnspeakableText      nothing that can be said (emoji, punctuation), or a script the model lacks
    │   │   ├── InvalidText          NUL, lone surrogates, not a string
    │   │   │   └── InvalidMarkup    SSML that is not well-formed, or an attribute with a wrong value
    │   │   └── TextTooLong          longer than ``max_text_chars``
    │   ├── OptionError
    │   │   ├── UnknownOption        not an option of this provider
    │   │   └── InvalidOption        wrong type or out of range
    │   ├── UnknownLanguage
    │   ├── VoiceError
    │   │   ├── VoiceNotFound        no file, saved voice or built-in voice of that name
    │   │   ├── VoiceUnreadable      a directory, an empty file, not audio
    │   │   ├── VoiceUnsuitable      silent, too short, too long, clipped
    │   │   └── VoiceUnsupported     this provider cannot clone
    │   ├── UnknownCheckpoint
    │   └── OutputError              the audio cannot be written there
    ├── SettingsError (ValueError)
    ├── PluginError
    │   ├── UnknownProvider          nothing of that name is installed
    │   ├── NoProvider               nothing usable is installed at all
    │   ├── BrokenProvider           the plugin cannot be imported
    │   ├── DuplicateProvider        two distributions claim the name
    │   ├── InvalidPlugin            breaks the contract at registration
    │   ├── InvalidChunk             breaks the contract while generating
    │   └── ExtensionError           an extension failed
    ├── StageFailed                  a stage failed and stepping down was forbidden (``strict``)
    │   └── LadderExhausted          every rung was given up
    ├── Busy                         the queue is full, or the turn did not come in time
    ├── ProviderClosed               used after ``close()``, or in a forked child
    ├── WouldDeadlock                a thread generates while it reads a stream of the same provider
    ├── StreamStalled                a stream that nobody read was ended
    ├── RequestTimeout               the request took longer than ``request_timeout_s``
    ├── AccelError                   a part of ``realtts.accel`` failed or was misused; the fix names its switch
    │   ├── AttentionUnavailable     the attention kernel asked for does not work here
    │   ├── BufferMisuse             a tensor returned twice, or to a pool that did not lend it
    │   ├── CaptureFailed            a CUDA graph could not be captured
    │   ├── CompileFailed            torch.compile failed
    │   ├── DecoderError             a prompt, a cache or a step that does not fit the decoder
    │   ├── NotFinite                NaN or infinity in a tensor
    │   ├── OffloadError             weights that are kept in host memory were moved by somebody else
    │   └── QuantizationUnavailable  weights that cannot be quantized, or no kernel for them here
    ├── CheckpointError              the weights cannot be had; never steps the ladder down
    │   ├── CheckpointMissing        no such repository, revision or file
    │   ├── CheckpointForbidden      the repository is gated, or closed to this token
    │   ├── CheckpointCorrupt        what came is not what the hub announced
    │   ├── CheckpointMismatch       a tensor is missing, unexpected or misshapen
    │   ├── DownloadFailed           the network failed, or is switched off; what arrived is kept
    │   └── NotEnoughDisk            the files do not fit
    ├── IsolationError               an isolated environment was asked for and cannot be had
    │   └── InstallFailed            it cannot be made; an earlier one works as before
    ├── WorkerDied                   the process of an isolated provider ended, or was ended, during the request
    └── MissingExtra                 an optional library is not installed
"""

from __future__ import annotations

import difflib
import itertools
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtts.attempt import Attempt


__all__ = [
    "AccelError", "AttentionUnavailable", "BlankText", "BrokenProvider", "BufferMisuse", "Busy", "CaptureFailed",
    "CheckpointCorrupt", "CheckpointError", "CheckpointForbidden", "CheckpointMismatch", "CheckpointMissing",
    "CompileFailed", "DecoderError", "DownloadFailed", "DuplicateProvider", "ExtensionError", "InputError",
    "InstallFailed", "InvalidChunk", "InvalidMarkup", "InvalidOption", "InvalidPlugin", "InvalidText",
    "IsolationError", "LadderExhausted", "MissingExtra", "NoProvider", "NotEnoughDisk", "NotFinite", "OffloadError",
    "OptionError", "OutputError", "PluginError", "ProviderClosed", "QuantizationUnavailable", "RealTTSError",
    "RequestTimeout", "SettingsError", "StageFailed", "StreamStalled", "TextError", "TextTooLong", "UnknownCheckpoint",
    "UnknownLanguage", "UnknownOption", "UnknownProvider", "UnspeakableText", "VoiceError", "VoiceNotFound",
    "VoiceUnreadable", "VoiceUnsuitable", "VoiceUnsupported", "WorkerDied", "WouldDeadlock",
]  # fmt: skip


class RealTTSError(Exception):
    """Base of all errors of realtts.

    Args:
        what: What is wrong, one clause without a full stop.
        who: Provider, file, option or setting concerned.
        fix: What the reader can do about it, one sentence without a full stop.
    """

    # For a plugin's subclass whose constructor does not call this one.
    who: str = "realtts"
    what: str = ""
    fix: str = ""

    def __init__(self, what: str, *, who: str = "realtts", fix: str = "") -> None:
        self.who = who
        self.what = what
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.who}: {self.what}."
        return f"{text} Fix: {self.fix}." if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default, which would call cls(*args).
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(cls: type[RealTTSError], state: dict[str, object]) -> RealTTSError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (state.get("what"),)
    return error


class InputError(RealTTSError, ValueError):
    """The request is wrong; no model work was done and no rung was given up."""


class TextError(InputError):
    """The text cannot be spoken."""


class BlankText(TextError):
    """The text holds nothing but white space."""


class UnspeakableText(TextError):
    """The text holds nothing that can be said."""


class InvalidText(TextError):
    """The text is not a string, or holds characters that are not text."""


class InvalidMarkup(InvalidText):
    """The SSML is not well-formed, nested too deeply, or an attribute of it has a value that it cannot have.

    Attributes:
        line: Where in the caller's text, from 1; 0: not known.
        column: In that line, from 1.
    """

    def __init__(self, what: str, *, who: str, fix: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"{what}, at line {line}, column {column}" if line else what, who=who, fix=fix)
        self.line = line
        self.column = column


class TextTooLong(TextError):
    """The text is longer than the setting ``max_text_chars``."""


class OptionError(InputError):
    """An option of the request is wrong.

    Attributes:
        argument: The argument or option at fault; empty: none in particular.
    """

    argument: str = ""

    def __init__(self, what: str, *, who: str = "realtts", fix: str = "", argument: str = "") -> None:
        super().__init__(what, who=who, fix=fix)
        self.argument = argument


class UnknownOption(OptionError):
    """The provider has no such option."""


class InvalidOption(OptionError):
    """An option has the wrong type or lies out of its range."""


class UnknownLanguage(InputError):
    """The provider does not speak that language."""


class VoiceError(InputError):
    """The voice cannot be used."""


class VoiceNotFound(VoiceError):
    """No file, saved voice or built-in voice has that name."""


class VoiceUnreadable(VoiceError):
    """The reference is not a readable audio file."""


class VoiceUnsuitable(VoiceError):
    """The reference audio is silent, clipped, too short or too long."""


class VoiceUnsupported(VoiceError):
    """The provider cannot clone voices, or needs something that was not given."""


class UnknownCheckpoint(InputError):
    """No checkpoint, hub id or folder of that name."""


class OutputError(InputError):
    """The audio cannot be written there."""


class SettingsError(RealTTSError, ValueError):
    """A setting is unknown or has a wrong value."""


class PluginError(RealTTSError):
    """A provider or extension is missing or at fault."""


class UnknownProvider(PluginError):
    """No provider of that name is installed."""


class NoProvider(PluginError):
    """No usable provider is installed."""


class BrokenProvider(PluginError):
    """The provider's plugin cannot be imported."""


class DuplicateProvider(PluginError):
    """Two distributions claim the same provider name."""


class InvalidPlugin(PluginError):
    """The plugin breaks the contract; found at registration."""


class InvalidChunk(PluginError):
    """The plugin yielded something that is not a valid chunk; counts as a failure of the stage generate."""


class ExtensionError(PluginError):
    """An extension of the group ``realtts.extensions`` failed."""


class StageFailed(RealTTSError):
    """A stage failed and the ladder was not allowed to step down.

    The provider's own exception is ``__cause__``; ``attempts`` records every rung that was given up, newest last.
    """

    def __init__(self, what: str, *, who: str, fix: str, attempts: tuple[Attempt, ...]) -> None:
        super().__init__(what, who=who, fix=fix)
        self.attempts = attempts


class LadderExhausted(StageFailed):
    """Every rung was tried and given up."""


class Busy(RealTTSError):
    """The provider's queue is full, or the request's turn did not come in time.

    Attributes:
        wait_s: About how many seconds of work wait already; None while nothing was measured.
    """

    wait_s: float | None = None


class ProviderClosed(RealTTSError):
    """The provider was closed, or belongs to the parent of a forked process."""


class WouldDeadlock(RealTTSError):
    """The thread still reads a stream of this provider, and the new request would wait for it."""


class StreamStalled(RealTTSError):
    """Nobody read the stream for ``stream_stall_s``, so it was ended to let others in."""


class RequestTimeout(RealTTSError):
    """The request took longer than the setting ``request_timeout_s``, counted from when it began to run."""


class AccelError(RealTTSError):
    """A part of ``realtts.accel`` failed or was misused; its fix names the setting that switches the part off."""


class AttentionUnavailable(AccelError):
    """The attention kernel that was asked for does not work on this device, type and shape."""


class BufferMisuse(AccelError):
    """A tensor was returned twice, or to a pool that did not lend it."""


class CaptureFailed(AccelError):
    """A CUDA graph could not be captured, or was given tensors of another shape."""


class CompileFailed(AccelError):
    """torch.compile failed; its own exception is ``__cause__``."""


class DecoderError(AccelError):
    """A prompt, a cache or a step does not fit the decoder."""


class NotFinite(AccelError):
    """A tensor holds NaN or infinity."""


class OffloadError(AccelError):
    """Weights that are kept in host memory were moved or replaced by somebody else."""


class QuantizationUnavailable(AccelError):
    """Weights that cannot be quantized, or no kernel for them on this machine."""


class CheckpointError(RealTTSError):
    """The files of a checkpoint cannot be had; no rung can mend that, so none is given up."""


class CheckpointMissing(CheckpointError):
    """There is no such repository, revision or file."""


class CheckpointForbidden(CheckpointError):
    """The repository is gated, private or closed to the token in use."""


class CheckpointCorrupt(CheckpointError):
    """A file is not what the hub announced, and was removed; or it cannot be read, or its weights give NaN."""


class CheckpointMismatch(CheckpointError):
    """A tensor of the checkpoint is missing, unexpected or misshapen."""


class DownloadFailed(CheckpointError):
    """The hub cannot be reached, the connection was cut, or ``HF_HUB_OFFLINE`` is set; what arrived is kept."""


class NotEnoughDisk(CheckpointError):
    """The files do not fit on the disk of the cache."""


class IsolationError(RealTTSError):
    """An isolated environment was asked for and cannot be had."""


class InstallFailed(IsolationError):
    """An isolated environment cannot be made; an earlier one works as before.

    Attributes:
        phase: What was being done: ``"wait"``, ``"stage"``, ``"create"``, ``"resolve"``, ``"install"``, ``"prove"`` or
            ``"switch"``.
        output: The last lines of the program that failed, oldest first.
    """

    def __init__(self, what: str, *, who: str, fix: str, phase: str = "", output: tuple[str, ...] = ()) -> None:
        super().__init__(what, who=who, fix=fix)
        self.phase = phase
        self.output = output


class WorkerDied(RealTTSError):
    """The process of an isolated provider ended, or had to be ended, while it worked on this request.

    The next request starts a new one; requests that waited go on.

    Attributes:
        stderr: The last lines that it printed, oldest first.
        exit_code: Its exit code; the negative number of the signal that ended it.
    """

    def __init__(
        self, what: str, *, who: str, fix: str, stderr: tuple[str, ...] = (), exit_code: int | None = None
    ) -> None:
        super().__init__(what, who=who, fix=fix)
        self.stderr = stderr
        self.exit_code = exit_code


class MissingExtra(RealTTSError):
    """A library that only this needs is not installed; the fix names the extra that brings it."""


_MOST_COMPARED = 5000
_LONGEST_NAME = 200
_FEW = 6


def closest(name: str, names: Iterable[str], *, others: Iterable[str] = ()) -> str:
    """Return ``" (did you mean 'x'?)"`` for the name that was probably meant, or an empty string; see `nearest`."""
    near = nearest(name, names, others=others)
    return f" (did you mean {near!r:.80}?)" if near is not None else ""


def nearest(name: str, names: Iterable[str], *, others: Iterable[str] = ()) -> str | None:
    """Return the name of which another one is probably a misspelling.

    Nothing is offered that looks the same as what was given, nor for a name that means something else.

    Args:
        name: What was given.
        names: What could be meant, all of one kind; of very many only the first are compared.
        others: Names of other kinds, which are no misspellings: formats that are only read, for example.
    """
    given = name[:_LONGEST_NAME]
    wanted = _folded(given)
    same = unicodedata.normalize("NFC", given)
    choices = {unicodedata.normalize("NFC", each): each for each in itertools.islice(names, _MOST_COMPARED)}
    if not wanted or same in choices or wanted in map(_folded, others):
        return None
    folded: dict[str, str] = {}
    for each in choices:
        folded.setdefault(_folded(each), each)
    folded.pop("", None)
    # Below 0.6 words of other kinds match that share a few letters: "speed" and "espeak".
    near = difflib.get_close_matches(wanted, list(folded), n=1, cutoff=0.6)
    parts = set(wanted.split("-"))
    near = near or [each for each in folded if parts < set(each.split("-")) or set(each.split("-")) < parts]
    return folded[near[0]] if near else None


def enumeration(names: Iterable[str], most: int = _FEW) -> str:
    """Return ``"a, b, c and 9 more"``: a message never lists more names than somebody reads.

    Args:
        names: All of them.
        most: How many are listed.
    """
    names = list(names)
    listed = ", ".join(f"{name:.120}" for name in names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def _folded(name: str) -> str:
    """Return a name without what people do not look at: case, accents, marks before it, ``_`` for ``-``."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return plain.casefold().replace("_", "-").replace(" ", "-").strip(".-\t\n")
