"""A checkpoint's files into upstream's networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.accel.tensorfile import read_state, shapes_of
from realtts.accel.upstream import fill
from realtts.errors import CheckpointMismatch
from realtts_f5.building import FIX, check_vocabulary, empty_model, empty_vocoder
from realtts_f5.files import fetch, read_yaml
from realtts_f5.states import read_network
from realtts_f5.text import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.accel.tensorfile import State
    from realtts_f5.files import Files

__all__ = ["Parts", "fetch", "read_model_state", "read_parts", "read_vocoder_state"]

_CLASSES = {
    "feature_extractor": "vocos.feature_extractors.MelSpectrogramFeatures",
    "backbone": "vocos.models.VocosBackbone",
    "head": "vocos.heads.ISTFTHead",
}
"""What the vocoder is made of, whatever its file says."""

_SETTINGS = {
    "feature_extractor": {"sample_rate": 24_000, "n_fft": 1024, "hop_length": 256, "n_mels": 100},
    "backbone": {"input_channels": 100},
    "head": {"n_fft": 1024, "hop_length": 256},
}
"""What the tensors do not show, or not by name."""


@dataclass
class Parts:
    """A model of upstream's classes, float32, in evaluation mode.

    Attributes:
        name: Of the configuration.
        cfm: ``CFM``.
        vocos: ``Vocos``.
        vocabulary: Symbols to ids.
    """

    name: str
    cfm: Any
    vocos: Any
    vocabulary: Vocabulary


def read_parts(files: Files, device: str) -> Parts:
    """The whole model.

    Args:
        files: From `fetch`.
        device: Where it shall lie.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen; or the vocabulary has another size.
        MissingExtra: f5-tts is not installed.
    """
    state, vocabulary = read_model_state(files)
    who = _who(files.weights)
    cfm = empty_model(files.architecture, len(vocabulary))
    fill(cfm, state, device, who, fix=FIX)
    _check_config(files.vocoder_config)
    tensors = read_state(files.vocoder)
    vocos = empty_vocoder(shapes_of(tensors), _who(files.vocoder))
    fill(vocos, tensors, device, _who(files.vocoder), fix=FIX)
    return Parts(files.name, cfm, vocos, vocabulary)


def read_model_state(files: Files) -> tuple[State, Vocabulary]:
    """The network's tensors, read when they are asked for, and the vocabulary.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: The vocabulary has another size.
    """
    vocabulary, state, who = Vocabulary(files.vocabulary), read_network(files.weights), _who(files.weights)
    check_vocabulary(state, len(vocabulary), vocabulary.name, who)
    return state, vocabulary


def read_vocoder_state(files: Files) -> State:
    """The vocoder's tensors.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: Its configuration is another vocoder's.
    """
    _check_config(files.vocoder_config)
    return read_state(files.vocoder)


def _check_config(path: Path | None) -> None:
    """Refuse another vocoder by what its configuration says; the classes that it names are never looked up."""
    if path is None:
        return
    try:
        content = read_yaml(path)
        found = {part: content[part]["class_path"] for part in _CLASSES}
        given = {part: content[part].get("init_args") or {} for part in _CLASSES}
        padding = given["head"].get("padding", "same")
        others = [
            f"{key} {given[part].get(key, usual)!r} instead of {usual}"
            for part, settings in _SETTINGS.items()
            for key, usual in settings.items()
            if given[part].get(key, usual) != usual
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointMismatch(
            f"it does not describe a vocoder: {type(error).__name__}: {error}", who=_who(path),
            fix="take the files of charactr/vocos-mel-24khz",
        ) from error  # fmt: skip
    if found != _CLASSES or padding != "center" or others:
        names = [name for part, name in found.items() if name != _CLASSES[part]]
        other = next(iter([*names, *others]), f"padding {padding!r}")
        raise CheckpointMismatch(
            f"it describes another vocoder: {other}", who=_who(path), fix="take the files of charactr/vocos-mel-24khz"
        )


def _who(path: Path) -> str:
    return f"file {path.name!r}"
