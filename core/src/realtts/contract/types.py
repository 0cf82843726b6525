"""Requests and chunks: what goes into a provider and what comes out of it, piece by piece."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from realtts.contract.delivery import Delivery
from realtts.contract.stages import never

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from realtts.contract.options import Options

__all__ = ["Chunk", "FinishReason", "Mark", "Request", "Unread", "Voice", "VoiceInfo"]


FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Mark:
    """When a stretch of the text is spoken.

    Attributes:
        start: Seconds from the start of the audio of the request or speech that carries the mark.
        end: Seconds, at least ``start``.
        span: Start and end character in that request's text; in a `Speech`, in the caller's original text.
        kind: ``"word"``, ``"sentence"``, or ``"mark"``: the place of a ``<mark>`` of SSML.
        name: Of a ``<mark>``; else empty.
    """

    start: float
    end: float
    span: tuple[int, int]
    kind: Literal["word", "sentence", "mark"] = "word"
    name: str = ""


@dataclass(frozen=True)
class Unread:
    """A stretch of the text that the provider does not say as it stands.

    Attributes:
        span: Start and end character in the request's text.
        instead: What it says in its place; empty: nothing.
    """

    span: tuple[int, int]
    instead: str = ""


@dataclass(frozen=True, eq=False)
class Chunk:
    """A stretch of audio.

    The core copies what a plugin yields, so a plugin may use its buffers again. Chunks that callers and extensions get
    are read-only: copy the samples to change them.

    Attributes:
        samples: float32 of shape (n,), nominally in [-1, 1].
        sample_rate: Hz, one of the spec's ``sample_rates`` and the same for all chunks of a request.
        marks: Timings that became known with this chunk.
        tokens: Speech tokens (or frames) decoded since the previous chunk, for tokens per second.
        finish_reason: On the last chunk, if the provider knows it: ``"stop"`` or ``"length"`` (a cap was reached).
        warnings: Sentences for the user that became known with this chunk.
        retries: Parts of the text that the provider itself spoke again since the previous chunk, because they ran
            away or ended too early (`realtts.kit.retries`). The core then does not speak the whole again.
        unread: What of the request's text the provider does not say (`realtts.text.readable_text`), each stretch on
            one chunk. The core warns of it, with its place in the caller's text.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    marks: tuple[Mark, ...] = ()
    tokens: int = 0
    finish_reason: FinishReason | None = None
    warnings: tuple[str, ...] = ()
    retries: int = 0
    unread: tuple[Unread, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, eq=False)
class Voice:
    """Reference audio for cloning, read and checked.

    Attributes:
        samples: float32 of shape (n,) in [-1, 1], mono, at ``sample_rate``.
        sample_rate: Hz, as recorded.
        text: The words spoken in the recording, or None.
        name: File or saved name, for messages.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    text: str | None = None
    name: str = "samples"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of samples, rate and text: the key of every cache of speaker conditioning."""
        sha = hashlib.sha256(np.ascontiguousarray(self.samples).tobytes())
        sha.update(f"|{self.sample_rate}|{self.text!r}".encode("utf-8", "surrogatepass"))
        return sha.hexdigest()

    @cached_property
    def sound_digest(self) -> str:
        """As `digest`, without the text: the key of what is made of the sound alone."""
        return replace(self, text=None).digest

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    def at(self, sample_rate: int) -> NDArray[np.float32]:
        """Return the samples at a rate in Hz, float32 of shape (m,); its own array where that is the rate already."""
        from realtts.resample import resample  # not with the module: `import realtts` needs no resampler

        samples = np.ascontiguousarray(self.samples, np.float32)
        return samples if self.sample_rate == sample_rate else resample(samples, self.sample_rate, sample_rate)


@dataclass(frozen=True)
class VoiceInfo:
    """A built-in voice.

    Attributes:
        id: What users pass as ``voice=``.
        name: Name for people.
        language: BCP 47 tag, empty when it speaks several.
        gender: ``"male"``, ``"female"`` or empty.
        description: Anything else worth knowing.
        aliases: What else users may pass as ``voice=``, beside id and name.
    """

    id: str
    name: str = ""
    language: str = ""
    gender: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Request:
    """One synthesis input; immutable.

    Attributes:
        text: What to say; not blank, no NUL, no lone surrogates, at most ``spec.max_chars`` characters.
        voice: `Voice` to clone, a built-in voice's id, or None for the default voice.
        language: A tag of the spec's ``languages``, or None when the caller gave none.
        seed: Whole number from 0 to 2**63 - 1; always set: drawn by the facade when the caller gave none.
        speed: 1.0 is the natural rate; always 1.0 for providers without the capability ``speed``.
        options: Validated instance of the spec's options class.
        cancelled: Returns True once the caller has lost interest; to be read at every step.
        streaming: The caller takes the audio as it comes. False: nobody hears it before its end, so that a provider
            whose streams take more work, or sound a little different, may speak it as a whole.
        delivery: What SSML asks for beyond that, as far as the provider's capabilities name it.
    """

    text: str
    voice: Voice | str | None = None
    language: str | None = None
    seed: int = 0
    speed: float = 1.0
    options: Options | None = None
    cancelled: Callable[[], bool] = field(default=never)
    streaming: bool = False
    delivery: Delivery = field(default_factory=Delivery)
