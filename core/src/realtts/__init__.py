"""realtts: open text-to-speech models behind one small face, on the fastest path that really works.

    from realtts import RealProvider

    with RealProvider("espeak") as tts:
        tts.generate("Hello there.").save("hello.wav")

Names are imported when they are first used, so that ``import realtts`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.lazy import names_from

if TYPE_CHECKING:
    from realtts.context import Context, Rung
    from realtts.errors import (
        AccelError,
        AttentionUnavailable,
        BlankText,
        BrokenProvider,
        BufferMisuse,
        Busy,
        CaptureFailed,
        CheckpointCorrupt,
        CheckpointError,
        CheckpointForbidden,
        CheckpointMismatch,
        CheckpointMissing,
        CompileFailed,
        DecoderError,
        DownloadFailed,
        DuplicateProvider,
        ExtensionError,
        InputError,
        InstallFailed,
        InvalidChunk,
        InvalidOption,
        InvalidPlugin,
        InvalidText,
        IsolationError,
        LadderExhausted,
        MissingExtra,
        NoProvider,
        NotEnoughDisk,
        NotFinite,
        OffloadError,
        OptionError,
        OutputError,
        PluginError,
        ProviderClosed,
        QuantizationUnavailable,
        RealTTSError,
        SettingsError,
        StageFailed,
        StreamStalled,
        TextError,
        TextTooLong,
        UnknownCheckpoint,
        UnknownLanguage,
        UnknownOption,
        UnknownProvider,
        UnspeakableText,
        VoiceError,
        VoiceNotFound,
        VoiceUnreadable,
        VoiceUnsuitable,
        VoiceUnsupported,
        WorkerDied,
        WouldDeadlock,
    )
    from realtts.events import Event
    from realtts.facade import RealProvider
    from realtts.hookspecs import hookimpl
    from realtts.options import Options
    from realtts.registry import Installed, installed
    from realtts.settings import Settings
    from realtts.spec import Checkpoint, Environment, ProviderSpec
    from realtts.speech import Chunk, Mark, Metrics, Request, Speech, Voice, VoiceInfo
    from realtts.status import Attempt
    from realtts.streaming import ChunkStream

__version__ = "0.1.0"

_HOMES = {
    "context": ("Context", "Rung"),
    "errors": (
        "AccelError", "AttentionUnavailable", "BlankText", "BrokenProvider", "BufferMisuse", "Busy", "CaptureFailed",
        "CheckpointCorrupt", "CheckpointError", "CheckpointForbidden", "CheckpointMismatch", "CheckpointMissing",
        "CompileFailed", "DecoderError", "DownloadFailed", "DuplicateProvider", "ExtensionError", "InputError",
        "InstallFailed", "InvalidChunk", "InvalidOption", "InvalidPlugin", "InvalidText", "IsolationError",
        "LadderExhausted", "MissingExtra", "NoProvider", "NotEnoughDisk", "NotFinite", "OffloadError", "OptionError",
        "OutputError", "PluginError", "ProviderClosed", "QuantizationUnavailable", "RealTTSError", "SettingsError",
        "StageFailed", "StreamStalled", "TextError", "TextTooLong", "UnknownCheckpoint", "UnknownLanguage",
        "UnknownOption", "UnknownProvider", "UnspeakableText", "VoiceError", "VoiceNotFound", "VoiceUnreadable",
        "VoiceUnsuitable", "VoiceUnsupported", "WorkerDied", "WouldDeadlock",
    ),
    "events": ("Event",),
    "facade": ("RealProvider",),
    "hookspecs": ("hookimpl",),
    "options": ("Options",),
    "registry": ("Installed", "installed"),
    "settings": ("Settings",),
    "spec": ("Checkpoint", "Environment", "ProviderSpec"),
    "speech": ("Chunk", "Mark", "Metrics", "Request", "Speech", "Voice", "VoiceInfo"),
    "status": ("Attempt",),
    "streaming": ("ChunkStream",),
}  # fmt: skip

__all__ = [
    "AccelError",
    "Attempt",
    "AttentionUnavailable",
    "BlankText",
    "BrokenProvider",
    "BufferMisuse",
    "Busy",
    "CaptureFailed",
    "Checkpoint",
    "CheckpointCorrupt",
    "CheckpointError",
    "CheckpointForbidden",
    "CheckpointMismatch",
    "CheckpointMissing",
    "Chunk",
    "ChunkStream",
    "CompileFailed",
    "Context",
    "DecoderError",
    "DownloadFailed",
    "DuplicateProvider",
    "Environment",
    "Event",
    "ExtensionError",
    "InputError",
    "InstallFailed",
    "Installed",
    "InvalidChunk",
    "InvalidOption",
    "InvalidPlugin",
    "InvalidText",
    "IsolationError",
    "LadderExhausted",
    "Mark",
    "Metrics",
    "MissingExtra",
    "NoProvider",
    "NotEnoughDisk",
    "NotFinite",
    "OffloadError",
    "OptionError",
    "Options",
    "OutputError",
    "PluginError",
    "ProviderClosed",
    "ProviderSpec",
    "QuantizationUnavailable",
    "RealProvider",
    "RealTTSError",
    "Request",
    "Rung",
    "Settings",
    "SettingsError",
    "Speech",
    "StageFailed",
    "StreamStalled",
    "TextError",
    "TextTooLong",
    "UnknownCheckpoint",
    "UnknownLanguage",
    "UnknownOption",
    "UnknownProvider",
    "UnspeakableText",
    "Voice",
    "VoiceError",
    "VoiceInfo",
    "VoiceNotFound",
    "VoiceUnreadable",
    "VoiceUnsuitable",
    "VoiceUnsupported",
    "WorkerDied",
    "WouldDeadlock",
    "__version__",
    "hookimpl",
    "installed",
]


__getattr__ = names_from(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
