"""Voices: presets and saved codes in the form of ``voices.json``, and recordings, which are encoded once and cached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.voices.values import owned
from realtts.errors import CheckpointCorrupt, InvalidOption, VoiceUnsuitable
from realtts.kit.reading import MALFORMED, read_json, reason_of, unreadable
from realtts.kit.voices import matching_name, no_voice, voice_key
from realtts_vieneu.configurations import CODES
from realtts_vieneu.constants import ENCODER_RATE
from realtts_vieneu.presets import infos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Voice, VoiceInfo
    from realtts.contract.voice_cache import VoiceCache

__all__ = [
    "Encoder",
    "Preset",
    "Presets",
    "codes_of",
    "listed",
    "read_presets",
    "read_saved",
]

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Preset:
    """A voice whose codes are known.

    Attributes:
        id: What users pass as ``voice=``.
        codes: Of its recording.
        words: Said in it.
        description: Shown to users.
    """

    id: str
    codes: tuple[int, ...]
    words: str
    description: str = ""


@dataclass(frozen=True)
class Presets:
    """The content of a ``voices.json``.

    Attributes:
        voices: By id, in order.
        default: Id of the voice that speaks where a request names none; None: there is none.
    """

    voices: Mapping[str, Preset] = field(default_factory=dict)
    default: str | None = None

    def find(self, name: str | None) -> Preset:
        """Return the voice of an id, or the default one.

        Raises:
            VoiceNotFound: There is no such voice, or none at all.
        """
        chosen = self.default if name is None else matching_name(name, self.voices) or name
        preset = self.voices.get(chosen or "")
        if preset is None:
            instead = "give voice= a recording and reference_text= its words, or voices_file= saved codes"
            raise no_voice(chosen, self.voices, "vieneu", instead=instead)
        return preset


class Encoder(Protocol):
    """Encodes recordings."""

    def codes(self, samples: Tensor) -> Tensor:
        """Encode float32 (n,) at 16 kHz to int64 (frames,)."""


def read_presets(path: Path) -> Presets:
    """Read a checkpoint's ``voices.json``.

    Raises:
        CheckpointCorrupt: It cannot be read, or has another form.
    """
    try:
        return _presets(path)
    except MALFORMED as error:
        raise unreadable(path, error) from error


def read_saved(path: str) -> Presets:
    """Read a user's file of the same form.

    Raises:
        InvalidOption: It cannot be read, or has another form.
    """
    try:
        return _presets(Path(path).expanduser())
    except (*MALFORMED, RuntimeError, CheckpointCorrupt) as error:
        reason = error.what if isinstance(error, CheckpointCorrupt) else reason_of(error)
        raise InvalidOption(
            f"the file {path!r:.200} cannot be read: {reason.removeprefix('it cannot be read: ')}", who="voices_file",
            fix='give a JSON file such as {"presets": {"Lan": {"codes": [1, 2], "text": "The words."}}}',
        ) from error  # fmt: skip


def listed(presets: Presets) -> list[VoiceInfo]:
    """List the voices for the hook `voices`, the default one first."""
    return infos({name: preset.description for name, preset in presets.voices.items()}, presets.default)


def codes_of(
    context: Context,
    voice: Voice,
    encoder: Encoder,
    *,
    weights: str,
    cache: VoiceCache | DiskVoiceCache | None = None,
) -> Tensor:
    """Return the codes of a recording, from a cache or encoded now; requests share them and never change them.

    The words of the recording are no part of the key, so that one recording is cached once, whatever its words are.

    Args:
        context: Of the stage.
        voice: The recording.
        encoder: Called where the cache does not have it.
        weights: Identity of the encoder's weights, ``Weights.identity``.
        cache: Default: the context's, in memory.

    Returns:
        int64 (frames,), on the CPU.

    Raises:
        VoiceUnsuitable: No code is found in it.
    """
    codes: Tensor = (cache or context.voice_cache).get_or_compute(
        voice_key(voice, "vieneu", weights), lambda: _encode(voice, encoder)
    )
    return codes


def _encode(voice: Voice, encoder: Encoder) -> Tensor:
    with torch.inference_mode():
        codes = encoder.codes(torch.from_numpy(voice.at(ENCODER_RATE)))
    if not codes.numel():
        raise VoiceUnsuitable("no voice is found in it", who=f"voice {voice.name!r}", fix="give a clear recording")
    return owned(codes.flatten().long())


def _presets(path: Path) -> Presets:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("it is too large")
    content = read_json(path)
    voices = {str(name): _preset(str(name), about) for name, about in content["presets"].items()}
    default = content.get("default_voice") or next(iter(voices), None)
    return Presets(MappingProxyType(voices), str(default) if default in voices else next(iter(voices), None))


def _preset(name: str, about: Mapping[str, Any]) -> Preset:
    codes, words = about["codes"], about["text"]
    whole = isinstance(codes, list) and codes and all(type(code) is int and 0 <= code < CODES for code in codes)
    if not whole:
        raise ValueError(f"the codes of {name!r:.60} are not whole numbers below {CODES}")
    if not isinstance(words, str) or not words.strip():
        raise ValueError(f"the words of {name!r:.60} are missing")
    return Preset(name, tuple(codes), words, str(about.get("description") or ""))
