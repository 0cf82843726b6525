from realtts.attempt import (
    Attempt as Attempt,
)
from realtts.contract.context import (
    Context as Context,
)
from realtts.contract.context import (
    Rung as Rung,
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
)
from realtts.contract.spec import (
    Environment as Environment,
)
from realtts.contract.spec import (
    ProviderSpec as ProviderSpec,
)
from realtts.contract.types import (
    Chunk as Chunk,
)
from realtts.contract.types import (
    Mark as Mark,
)
from realtts.contract.types import (
    Request as Request,
)
from realtts.contract.types import (
    Voice as Voice,
)
from realtts.contract.types import (
    VoiceInfo as VoiceInfo,
)
from realtts.errors import (
    AccelError as AccelError,
)
from realtts.errors import (
    AttentionUnavailable as AttentionUnavailable,
)
from realtts.errors import (
    BlankText as BlankText,
)
from realtts.errors import (
    BrokenProvider as BrokenProvider,
)
from realtts.errors import (
    BufferMisuse as BufferMisuse,
)
from realtts.errors import (
    Busy as Busy,
)
from realtts.errors import (
    CaptureFailed as CaptureFailed,
)
from realtts.errors import (
    CheckpointCorrupt as CheckpointCorrupt,
)
from realtts.errors import (
    CheckpointError as CheckpointError,
)
from realtts.errors import (
    CheckpointForbidden as CheckpointForbidden,
)
from realtts.errors import (
    CheckpointMismatch as CheckpointMismatch,
)
from realtts.errors import (
    CheckpointMissing as CheckpointMissing,
)
from realtts.errors import (
    CompileFailed as CompileFailed,
)
from realtts.errors import (
    DecoderError as DecoderError,
)
from realtts.errors import (
    DownloadFailed as DownloadFailed,
)
from realtts.errors import (
    DuplicateProvider as DuplicateProvider,
)
from realtts.errors import (
    ExtensionError as ExtensionError,
)
from realtts.errors import (
    InputError as InputError,
)
from realtts.errors import (
    InstallFailed as InstallFailed,
)
from realtts.errors import (
    InvalidChunk as InvalidChunk,
)
from realtts.errors import (
    InvalidOption as InvalidOption,
)
from realtts.errors import (
    InvalidPlugin as InvalidPlugin,
)
from realtts.errors import (
    InvalidText as InvalidText,
)
from realtts.errors import (
    IsolationError as IsolationError,
)
from realtts.errors import (
    LadderExhausted as LadderExhausted,
)
from realtts.errors import (
    MissingExtra as MissingExtra,
)
from realtts.errors import (
    NoProvider as NoProvider,
)
from realtts.errors import (
    NotEnoughDisk as NotEnoughDisk,
)
from realtts.errors import (
    NotFinite as NotFinite,
)
from realtts.errors import (
    OffloadError as OffloadError,
)
from realtts.errors import (
    OptionError as OptionError,
)
from realtts.errors import (
    OutputError as OutputError,
)
from realtts.errors import (
    PluginError as PluginError,
)
from realtts.errors import (
    ProviderClosed as ProviderClosed,
)
from realtts.errors import (
    QuantizationUnavailable as QuantizationUnavailable,
)
from realtts.errors import (
    RealTTSError as RealTTSError,
)
from realtts.errors import (
    SettingsError as SettingsError,
)
from realtts.errors import (
    StageFailed as StageFailed,
)
from realtts.errors import (
    StreamStalled as StreamStalled,
)
from realtts.errors import (
    TextError as TextError,
)
from realtts.errors import (
    TextTooLong as TextTooLong,
)
from realtts.errors import (
    UnknownCheckpoint as UnknownCheckpoint,
)
from realtts.errors import (
    UnknownLanguage as UnknownLanguage,
)
from realtts.errors import (
    UnknownOption as UnknownOption,
)
from realtts.errors import (
    UnknownProvider as UnknownProvider,
)
from realtts.errors import (
    UnspeakableText as UnspeakableText,
)
from realtts.errors import (
    VoiceError as VoiceError,
)
from realtts.errors import (
    VoiceNotFound as VoiceNotFound,
)
from realtts.errors import (
    VoiceUnreadable as VoiceUnreadable,
)
from realtts.errors import (
    VoiceUnsuitable as VoiceUnsuitable,
)
from realtts.errors import (
    VoiceUnsupported as VoiceUnsupported,
)
from realtts.errors import (
    WorkerDied as WorkerDied,
)
from realtts.errors import (
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
)
from realtts.registry.providers import (
    installed as installed,
)
from realtts.settings import (
    Settings as Settings,
)
from realtts.synthesis.speech import (
    Metrics as Metrics,
)
from realtts.synthesis.speech import (
    Speech as Speech,
)

__version__: str
