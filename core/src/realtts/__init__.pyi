from realtts.attempt import (
    Attempt as Attempt,
)
from realtts.contract.context import (
    Context as Context,
    Rung as Rung,
)
from realtts.contract.continuous import (
    Arrival as Arrival,
    Arrivals as Arrivals,
    RowEnd as RowEnd,
    RowFailed as RowFailed,
)
from realtts.contract.events import (
    Event as Event,
)
from realtts.contract.hooks import (
    hookimpl as hookimpl,
)
from realtts.contract.options import (
    Options as Options,
)
from realtts.contract.spec import (
    Checkpoint as Checkpoint,
    Environment as Environment,
    ProviderSpec as ProviderSpec,
)
from realtts.contract.types import (
    Chunk as Chunk,
    Mark as Mark,
    Request as Request,
    Unread as Unread,
    Voice as Voice,
    VoiceInfo as VoiceInfo,
)
from realtts.errors import (
    AccelError as AccelError,
    AttentionUnavailable as AttentionUnavailable,
    BlankText as BlankText,
    BrokenProvider as BrokenProvider,
    BufferMisuse as BufferMisuse,
    Busy as Busy,
    CaptureFailed as CaptureFailed,
    CheckpointCorrupt as CheckpointCorrupt,
    CheckpointError as CheckpointError,
    CheckpointForbidden as CheckpointForbidden,
    CheckpointMismatch as CheckpointMismatch,
    CheckpointMissing as CheckpointMissing,
    CompileFailed as CompileFailed,
    DecoderError as DecoderError,
    DownloadFailed as DownloadFailed,
    DuplicateProvider as DuplicateProvider,
    ExtensionError as ExtensionError,
    InputError as InputError,
    InstallFailed as InstallFailed,
    InvalidChunk as InvalidChunk,
    InvalidMarkup as InvalidMarkup,
    InvalidOption as InvalidOption,
    InvalidPlugin as InvalidPlugin,
    InvalidText as InvalidText,
    IsolationError as IsolationError,
    LadderExhausted as LadderExhausted,
    MissingExtra as MissingExtra,
    NoProvider as NoProvider,
    NotEnoughDisk as NotEnoughDisk,
    NotFinite as NotFinite,
    OffloadError as OffloadError,
    OptionError as OptionError,
    OutputError as OutputError,
    PluginError as PluginError,
    ProviderClosed as ProviderClosed,
    QuantizationUnavailable as QuantizationUnavailable,
    RealTTSError as RealTTSError,
    SettingsError as SettingsError,
    StageFailed as StageFailed,
    StreamStalled as StreamStalled,
    TextError as TextError,
    TextTooLong as TextTooLong,
    UnknownCheckpoint as UnknownCheckpoint,
    UnknownLanguage as UnknownLanguage,
    UnknownOption as UnknownOption,
    UnknownProvider as UnknownProvider,
    UnspeakableText as UnspeakableText,
    VoiceError as VoiceError,
    VoiceNotFound as VoiceNotFound,
    VoiceUnreadable as VoiceUnreadable,
    VoiceUnsuitable as VoiceUnsuitable,
    VoiceUnsupported as VoiceUnsupported,
    WorkerDied as WorkerDied,
    WouldDeadlock as WouldDeadlock,
)
from realtts.provider.facade import (
    RealProvider as RealProvider,
)
from realtts.provider.stream import (
    ChunkStream as ChunkStream,
)
from realtts.registry.providers import (
    Installed as Installed,
    installed as installed,
)
from realtts.settings import (
    Settings as Settings,
)
from realtts.synthesis.speech import (
    Metrics as Metrics,
    Speech as Speech,
)

__version__: str
